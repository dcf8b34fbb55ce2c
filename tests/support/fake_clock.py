"""A clock that a test moves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FakeClock:
    """A fake of `vllm_pkg.clock.BootClock`: real time cannot be moved by a test."""

    seconds: float = 1000.0
    boot: str = "boot-1"

    def now_s(self) -> float:
        """Return the time the test has set."""
        return self.seconds

    def boot_id(self) -> str:
        """Return the boot the test has set."""
        return self.boot

"""
Time for durations: a clock that changes of the wall clock cannot move.

Source: clock_gettime(2). CLOCK_BOOTTIME is the same for all processes of a machine,
so one process can write an instant down and another can tell how long ago it was.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """What a part that measures durations needs; tests give a fake one."""

    def now_s(self) -> float:
        """Return seconds since the machine booted, time asleep included."""
        ...

    def boot_id(self) -> str:
        """Return a text that differs after each boot of the machine."""
        ...


class BootClock:
    """The real clock."""

    def now_s(self) -> float:
        """Return seconds since the machine booted, time asleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """Return the kernel's id of this boot; empty where it gives none."""
        try:
            return BOOT_ID_FILE.read_text(encoding="ascii").strip()
        except OSError:
            return ""

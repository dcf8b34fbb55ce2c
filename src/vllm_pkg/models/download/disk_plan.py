"""Whether a download fits on the disk, and what could go if it does not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Iterable

# Stays free: compile caches, logs and the state need it.
RESERVE_BYTES: Final = 1024**3
_NAMED_MAX: Final = 5
_STEP_BITS: Final = 10
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Removable:
    """
    One repository of the cache that this download does not need.

    Args:
        key: What names it to ``vllm-pkg model remove``.
        size_bytes: What it occupies.
        last_used_s: When it was used last, in seconds since 1970.
    """

    key: str
    size_bytes: int
    last_used_s: float


@dataclass(frozen=True)
class DiskPlan:
    """
    The disk before a download.

    Args:
        needed_bytes: What is still to be written.
        free_bytes: What the file system has free for us.
        reserve_bytes: What has to stay free.
        removable: Other models in the cache.
    """

    needed_bytes: int
    free_bytes: int
    reserve_bytes: int = RESERVE_BYTES
    removable: tuple[Removable, ...] = ()

    @property
    def shortfall_bytes(self) -> int:
        """How much is missing; 0 when it fits. Who needs nothing always fits."""
        if not self.needed_bytes:
            return 0
        return max(0, self.needed_bytes + self.reserve_bytes - self.free_bytes)

    @property
    def suggested(self) -> tuple[Removable, ...]:
        """
        Which models could go: those not used for longest, and no more than it takes.

        Empty when all of them together would not be enough.
        """
        chosen: list[Removable] = []
        for model in sorted(self.removable, key=lambda item: item.last_used_s):
            if sum(item.size_bytes for item in chosen) >= self.shortfall_bytes:
                break
            chosen.append(model)
        is_enough = sum(item.size_bytes for item in chosen) >= self.shortfall_bytes
        return tuple(chosen) if is_enough else ()

    def error(self) -> DiskFull:
        """Return the error that tells needed, free, and what could go."""
        message = (
            f"the download needs {format_bytes(self.needed_bytes)}, "
            f"{format_bytes(self.free_bytes)} are free and "
            f"{format_bytes(self.reserve_bytes)} of that have to stay free: "
            f"{format_bytes(self.shortfall_bytes)} are missing"
        )
        return DiskFull(message, hint=self._hint())

    def _hint(self) -> str:
        if self.suggested:
            return f"remove what is not needed: {_names(self.suggested)}"
        if self.removable:
            largest = sorted(self.removable, key=lambda item: -item.size_bytes)
            return (
                "use a larger disk; removing every other model would not be enough: "
                + _names(largest)
            )
        return "free some disk space, or use a larger disk; no other model is cached"


def format_bytes(size_bytes: int) -> str:
    """Return a size for people, such as ``1.5 GiB``."""
    power = max(0, int(size_bytes).bit_length() - 1) // _STEP_BITS
    unit = _UNITS[min(power, len(_UNITS) - 1)]
    size = size_bytes / 2 ** (_STEP_BITS * _UNITS.index(unit))
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _names(models: Iterable[Removable]) -> str:
    listed = list(models)
    named = [f"{one.key} ({format_bytes(one.size_bytes)})" for one in listed]
    rest = len(named) - _NAMED_MAX
    return ", ".join(named[:_NAMED_MAX]) + (f" and {rest} more" if rest > 0 else "")

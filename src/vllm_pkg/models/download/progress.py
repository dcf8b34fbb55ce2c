"""How far a download is: a value for people and programs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

# Over how long the speed is smoothed: long enough to read it, short enough to see a
# change of the line.
SMOOTHING_S: Final = 8.0
_PERCENT: Final = 100


class TransferState(StrEnum):
    """What a download is doing."""

    LISTING = "listing"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    STALLED = "stalled"
    WAITING = "waiting"
    DONE = "done"


@dataclass(frozen=True)
class Transfer:
    """
    How far a download is.

    Args:
        repository: The repository that is being fetched now.
        state: What is going on.
        files_done: Files of all repositories that are whole.
        files_total: Files of all repositories that are needed.
        bytes_done: Bytes of them on the disk, those of earlier tries included.
        bytes_total: Bytes of them in all.
        bytes_per_s: Smoothed speed.
        eta_s: Seconds still to go at that speed; None: nobody can tell.
    """

    repository: str
    state: TransferState
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_per_s: float = 0.0
    eta_s: float | None = None

    @property
    def is_stalled(self) -> bool:
        """Whether no byte has arrived for a while."""
        return self.state is TransferState.STALLED

    @property
    def percent(self) -> float:
        """Share of the bytes that are on the disk; 0 while their number is unknown."""
        if not self.bytes_total:
            return 0.0
        return _PERCENT * self.bytes_done / self.bytes_total

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "repository": self.repository,
            "state": str(self.state),
            "files_done": self.files_done,
            "files_total": self.files_total,
            "bytes_done": self.bytes_done,
            "bytes_total": self.bytes_total,
            "bytes_per_s": round(self.bytes_per_s),
            "eta_s": None if self.eta_s is None else round(self.eta_s),
        }


@dataclass(frozen=True)
class Speed:
    """
    A smoothed speed; each measurement gives a new one.

    Args:
        at_s: When it was measured last, on any clock that only goes forward.
        bytes_done: What had arrived then.
        bytes_per_s: The speed; None before there are two measurements.
    """

    at_s: float
    bytes_done: int
    bytes_per_s: float | None = None

    def measured(self, at_s: float, bytes_done: int) -> Speed:
        """Return the speed after one more measurement."""
        passed_s = at_s - self.at_s
        if passed_s <= 0:
            return self
        # Bytes that are thrown away, as after a wrong hash, are no speed.
        latest = max(0, bytes_done - self.bytes_done) / passed_s
        if self.bytes_per_s is None:
            return Speed(at_s, bytes_done, latest)
        weight = 1 - math.exp(-passed_s / SMOOTHING_S)
        smoothed = self.bytes_per_s + weight * (latest - self.bytes_per_s)
        return Speed(at_s, bytes_done, smoothed)

    def eta_s(self, remaining_bytes: int) -> float | None:
        """Return how many seconds that many bytes take; None: nobody can tell."""
        if not self.bytes_per_s or self.bytes_per_s < 1:
            return None
        return remaining_bytes / self.bytes_per_s

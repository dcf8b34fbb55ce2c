"""How far a download is, whoever does it, in one sentence for people: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from vllm_pkg.state.records import StartRecord
    from vllm_pkg.state.switch_file import SwitchProgress

# A download is written down twice a second; without news it is not under way.
SILENCE_MAX_S: Final = 60.0
_MIB: Final = 1024**2
_GIB: Final = 1024**3
_MEGABYTE: Final = 1e6
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
# Up to here seconds are told, rounded to tens.
_SECONDS_MAX_S: Final = 90


@dataclass(frozen=True)
class Download:
    """
    How far a download was when it was written down.

    Args:
        repository: What is fetched; empty: not known.
        bytes_done: Bytes that are there; None: not known.
        bytes_total: Bytes in all; None or 0: not known.
        bytes_per_s: The speed.
        eta_s: Seconds still to go; None: nobody can tell.
        is_stalled: Whether no byte has come for a while.
        updated_s: When it was written down, in seconds since boot.
    """

    repository: str
    bytes_done: int | None
    bytes_total: int | None
    bytes_per_s: float
    eta_s: float | None
    is_stalled: bool
    updated_s: float

    @classmethod
    def of_start(cls, start: StartRecord) -> Self:
        """Return the one of a start whose phase it is."""
        return cls(
            repository=start.repository or "",
            bytes_done=start.bytes_done,
            bytes_total=start.bytes_total,
            bytes_per_s=start.bytes_per_s or 0.0,
            eta_s=start.eta_s,
            is_stalled=start.is_stalled,
            updated_s=start.updated_s or start.started_s,
        )

    @classmethod
    def of_switch(cls, progress: SwitchProgress) -> Self:
        """Return the one of a switch of models that is being prepared."""
        return cls(
            repository=progress.repository,
            bytes_done=progress.bytes_done,
            bytes_total=progress.bytes_total,
            bytes_per_s=progress.bytes_per_s,
            eta_s=progress.eta_s,
            is_stalled=progress.is_stalled,
            updated_s=progress.updated_s,
        )

    def is_moving(self, now_s: float) -> bool:
        """Whether its bytes still come; *now_s* is in seconds since boot."""
        return not self.is_stalled and now_s - self.updated_s <= SILENCE_MAX_S

    def describe(self, now_s: float) -> str:
        """Return how far it is, how fast, and how long it takes still."""
        name = self.repository or "the model"
        if self.bytes_done is None or not self.bytes_total:
            if self.is_moving(now_s):
                return f"Downloading {name}: finding out what is needed."
            return f"The download of {name} stands still. It is tried again by itself."
        share = 100.0 * self.bytes_done / self.bytes_total
        amount = (
            f"{_size(self.bytes_done)} of {_size(self.bytes_total)} ({share:.0f} %)"
        )
        if not self.is_moving(now_s):
            return (
                f"The download of {name} stands still at {amount}."
                " It is tried again by itself."
            )
        speed = f"{self.bytes_per_s / _MEGABYTE:.1f} MB/s"
        left = tell_left(remaining_s(self.eta_s, self.updated_s, now_s))
        return f"{', '.join([f'Downloading {name}: {amount}', speed, *left])}."


def remaining_s(
    eta_s: float | None, updated_s: float | None, now_s: float
) -> float | None:
    """
    Return the seconds that are left now; None: not known.

    Args:
        eta_s: Seconds it took still when it was written down.
        updated_s: When that was; None: now.
        now_s: Seconds since boot.
    """
    return None if eta_s is None else max(0.0, eta_s - (now_s - (updated_s or now_s)))


def tell_left(left_s: float | None) -> list[str]:
    """Return how long something takes still, in words; nothing when nobody knows."""
    return [] if left_s is None else [f"about {_duration(left_s)} left"]


def _duration(seconds: float) -> str:
    if seconds <= _SECONDS_MAX_S:
        return f"{max(10, round(seconds / 10) * 10)} s"
    if seconds < _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    hours, rest_s = divmod(round(seconds / _MINUTE_S) * _MINUTE_S, _HOUR_S)
    return f"{hours} h {rest_s // _MINUTE_S} min"


def _size(size_bytes: int) -> str:
    if size_bytes < _GIB:
        return f"{size_bytes / _MIB:.0f} MiB"
    return f"{size_bytes / _GIB:.1f} GiB"

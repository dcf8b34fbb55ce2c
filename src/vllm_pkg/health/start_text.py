"""How far a start is, in one sentence for people: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.phases import Phase

if TYPE_CHECKING:
    from vllm_pkg.state.records import StartRecord

PHASE_NAMES: Final = {
    Phase.PREPARE: "preparing the start",
    Phase.DOWNLOAD: "downloading the model",
    Phase.STARTING: "starting the engine",
    Phase.LOAD: "loading the weights",
    Phase.COMPILE: "compiling the model",
    Phase.CAPTURE: "capturing the CUDA graphs",
    Phase.WARM_UP: "warming up",
    Phase.READY: "ready",
}
# A download is written down twice a second; without news it is not under way.
SILENCE_MAX_S: Final = 60.0
_MIB: Final = 1024**2
_GIB: Final = 1024**3
_MEGABYTE: Final = 1e6
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
# Up to here seconds are told, rounded to tens.
_SECONDS_MAX_S: Final = 90


def describe_start(start: StartRecord, now_s: float) -> str:
    """
    Return what goes on, how much of it is done and how long it takes still.

    Args:
        start: The record of the start.
        now_s: Seconds since boot.
    Returns:
        One sentence, or an empty text when there is nothing to tell.
    """
    if start.phase == Phase.DOWNLOAD:
        return describe_download(start, now_s)
    name = phase_name(start.phase)
    if not name or start.phase == Phase.READY:
        return ""
    parts = [f"Now: {name}"]
    if start.phase_percent is not None:
        parts[0] += f" ({start.phase_percent:.0f} %)"
    if start.percent is not None:
        parts.append(f"{start.percent:.0f} % of the start")
    return f"{', '.join([*parts, *_left(start, now_s)])}."


def phase_name(phase: str) -> str:
    """Return a phase in words; empty for one of another version."""
    return PHASE_NAMES[Phase(phase)] if phase in set(Phase) else ""


def describe_download(start: StartRecord, now_s: float) -> str:
    """
    Return how far a download is, how fast, and how long it takes still.

    Args:
        start: The record of a start whose phase it is.
        now_s: Seconds since boot.
    """
    name = start.repository or "the model"
    if start.bytes_done is None or not start.bytes_total:
        if is_moving(start, now_s):
            return f"Downloading {name}: finding out what is needed."
        return f"The download of {name} stands still. It is tried again by itself."
    share = 100.0 * start.bytes_done / start.bytes_total
    amount = f"{_size(start.bytes_done)} of {_size(start.bytes_total)} ({share:.0f} %)"
    if not is_moving(start, now_s):
        return (
            f"The download of {name} stands still at {amount}."
            " It is tried again by itself."
        )
    speed = f"{(start.bytes_per_s or 0.0) / _MEGABYTE:.1f} MB/s"
    parts = [f"Downloading {name}: {amount}", speed, *_left(start, now_s)]
    return f"{', '.join(parts)}."


def is_moving(start: StartRecord, now_s: float) -> bool:
    """
    Whether the bytes of a download still come.

    Args:
        start: The record of a start whose phase it is.
        now_s: Seconds since boot.
    """
    silent_s = now_s - (start.updated_s or start.started_s)
    return not start.is_stalled and silent_s <= SILENCE_MAX_S


def left_s(start: StartRecord, now_s: float) -> float | None:
    """Return the seconds that are left now; None: not known."""
    if start.eta_s is None:
        return None
    return max(0.0, start.eta_s - (now_s - (start.updated_s or now_s)))


def _left(start: StartRecord, now_s: float) -> list[str]:
    seconds = left_s(start, now_s)
    return [] if seconds is None else [f"about {_duration(seconds)} left"]


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

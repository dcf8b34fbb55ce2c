"""How far a start is, in one sentence for people: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.phases import Phase
from vllm_pkg.health.download_text import Download, remaining_s, tell_left

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
        return Download.of_start(start).describe(now_s)
    name = phase_name(start.phase)
    if not name or start.phase == Phase.READY:
        return ""
    parts = [f"Now: {name}"]
    if start.phase_percent is not None:
        parts[0] += f" ({start.phase_percent:.0f} %)"
    if start.percent is not None:
        parts.append(f"{start.percent:.0f} % of the start")
    parts += tell_left(left_s(start, now_s))
    return f"{', '.join(parts)}."


def phase_name(phase: str) -> str:
    """Return a phase in words; empty for one of another version."""
    return PHASE_NAMES[Phase(phase)] if phase in set(Phase) else ""


def left_s(start: StartRecord, now_s: float) -> float | None:
    """Return the seconds that are left now; None: not known."""
    return remaining_s(start.eta_s, start.updated_s, now_s)

"""
The phases of a start, out of the lines that the engine writes: pure.

The texts are no stable interface of vLLM. They are a hint for people; what is ready is
found out by asking. Source: vLLM 0.32, v1/engine/core.py, v1/worker/, compilation/,
model_executor/model_loader/weight_utils.py; logs of the CPU build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

PERCENT_MAX: Final = 100.0


class Phase(StrEnum):
    """What goes on in a start, in the order in which it comes."""

    PREPARE = "prepare"
    DOWNLOAD = "download"
    STARTING = "starting"
    LOAD = "load"
    COMPILE = "compile"
    CAPTURE = "capture"
    WARM_UP = "warm-up"
    READY = "ready"


ORDER: Final = tuple(Phase)


@dataclass(frozen=True)
class Progress:
    """
    How far a start has come.

    Args:
        phase: What goes on.
        since_s: When the phase began, in seconds since boot.
        phase_percent: How much of it is done, 0 to 100; None: not known.
        finished: Phases that are over, with their seconds, in order.
    """

    phase: Phase
    since_s: float
    phase_percent: float | None = None
    finished: tuple[tuple[Phase, float], ...] = ()


@dataclass(frozen=True)
class _Mark:
    """A text that shows a phase, and how much of it is done at least."""

    text: str
    phase: Phase
    percent: float | None


_MARKS: Final = (
    # Shares of the measured seconds between the first line and the weights.
    _Mark("non-default args:", Phase.STARTING, 20.0),
    _Mark("Resolved architecture: ", Phase.STARTING, 40.0),
    _Mark("Initializing a V1 LLM engine", Phase.STARTING, 70.0),
    _Mark("Starting to load model ", Phase.LOAD, 0.0),
    _Mark("Loading weights took ", Phase.LOAD, PERCENT_MAX),
    _Mark("Model loading took ", Phase.LOAD, PERCENT_MAX),
    _Mark("Warming up model for the compilation", Phase.COMPILE, None),
    _Mark("Starting torch.compile", Phase.COMPILE, None),
    _Mark("Dynamo bytecode transform time", Phase.COMPILE, 30.0),
    _Mark("Compiling a graph for compile range", Phase.COMPILE, 60.0),
    _Mark("Directly load the compiled graph", Phase.COMPILE, 80.0),
    _Mark("Directly load AOT compilation", Phase.COMPILE, 80.0),
    _Mark("saved AOT compiled function", Phase.COMPILE, 90.0),
    _Mark("Initial profiling/warmup run took", Phase.COMPILE, PERCENT_MAX),
    _Mark("Warming up done.", Phase.COMPILE, PERCENT_MAX),
    _Mark("Profiling CUDA graph memory", Phase.CAPTURE, None),
    _Mark("Graph capturing finished", Phase.WARM_UP, 0.0),
    # Without graphs to capture, as on a CPU, the warm-up follows the cache.
    _Mark("CPU KV cache size", Phase.WARM_UP, 0.0),
    _Mark("init engine (profile", Phase.WARM_UP, 40.0),
    _Mark("Starting vLLM server on", Phase.WARM_UP, 80.0),
    _Mark("Application startup complete", Phase.WARM_UP, PERCENT_MAX),
)
_LOADING_BAR: Final = re.compile(r"[Ll]oading [^:]{0,80}:\s+(\d{1,3})% Completed")
_CAPTURE_BAR: Final = re.compile(
    r"Capturing CUDA graphs \(([^)]{0,80})\):\s+(\d{1,3})%"
)
# Two bars, one after the other, when both kinds of graphs are captured.
_SECOND_GRAPHS: Final = "FULL"


def advance(progress: Progress, line: str, now_s: float) -> Progress:
    """
    Take one line of the engine's output into account.

    Nothing goes back: what several workers write comes in any order.

    Args:
        progress: What was known before.
        line: The line, without its end.
        now_s: Seconds since boot.
    """
    for mark in _MARKS:
        if mark.text in line:
            return enter(progress, mark.phase, now_s, mark.percent)
    bar = _LOADING_BAR.search(line)
    if bar is not None:
        return enter(progress, Phase.LOAD, now_s, float(bar[1]))
    bar = _CAPTURE_BAR.search(line)
    if bar is not None:
        half = float(bar[2]) / 2
        percent = PERCENT_MAX / 2 + half if _SECOND_GRAPHS in bar[1] else half
        return enter(progress, Phase.CAPTURE, now_s, percent)
    return progress


def enter(
    progress: Progress, phase: Phase, now_s: float, percent: float | None = None
) -> Progress:
    """
    Go to a phase, or further within it; an earlier phase changes nothing.

    Args:
        progress: What was known before.
        phase: Where the start is at least.
        now_s: Seconds since boot.
        percent: How much of it is done at least, 0 to 100; None: not known.
    """
    come, known = ORDER.index(phase), ORDER.index(progress.phase)
    if come < known:
        return progress
    if come == known:
        if percent is None or percent <= (progress.phase_percent or 0.0):
            return progress
        return replace(progress, phase_percent=min(percent, PERCENT_MAX))
    took_s = max(0.0, now_s - progress.since_s)
    finished = (*progress.finished, (progress.phase, took_s))
    return Progress(phase, now_s, percent, finished)

"""The phases of starts as parts of bars: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Part(StrEnum):
    """What a start spends its time on, as people see it, in the order it comes."""

    DOWNLOAD = "download"
    STARTING = "starting"
    LOAD = "load"
    COMPILE = "compile"
    WARM_UP = "warm-up"


_PARTS: Final = {
    Phase.PREPARE: Part.STARTING,
    Phase.DOWNLOAD: Part.DOWNLOAD,
    Phase.STARTING: Part.STARTING,
    Phase.LOAD: Part.LOAD,
    Phase.COMPILE: Part.COMPILE,
    Phase.CAPTURE: Part.WARM_UP,
    Phase.WARM_UP: Part.WARM_UP,
}


@dataclass(frozen=True)
class Bar:
    """
    One start.

    Args:
        parts: What it spent how many seconds on, in order, without what took none.
        seconds: All of them together.
        share: Its length, 0 to 1, beside the longest one's.
    """

    parts: tuple[tuple[Part, float], ...]
    seconds: float
    share: float

    @property
    def longest(self) -> tuple[Part, float] | None:
        """The part that took most of the time; None for a start that took none."""
        return max(self.parts, key=lambda part: part[1], default=None)


def bars(starts: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[Bar, ...]:
    """
    Return starts as bars of one scale.

    Args:
        starts: For each one its phases, as ``{"phase", "seconds"}``.
    """
    summed = [_sum(phases) for phases in starts]
    totals = [sum(seconds for _, seconds in parts) for parts in summed]
    longest = max(totals, default=0.0) or 1.0
    return tuple(
        Bar(parts, total, total / longest)
        for parts, total in zip(summed, totals, strict=True)
    )


def used_parts(drawn: Sequence[Bar]) -> tuple[Part, ...]:
    """Return the parts that some bar has, for the legend."""
    seen = {part for bar in drawn for part, _ in bar.parts}
    return tuple(part for part in Part if part in seen)


def present_phases(present: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the phases of a start that goes on, the unfinished one included."""
    phases: list[dict[str, Any]] = list(present["phases"])
    if present["phase"] != Phase.READY:
        told_s = sum(float(phase["seconds"]) for phase in phases)
        rest_s = max(0.0, float(present["elapsedS"]) - told_s)
        phases.append({"phase": present["phase"], "seconds": rest_s})
    return phases


def _sum(phases: Sequence[Mapping[str, Any]]) -> tuple[tuple[Part, float], ...]:
    seconds = dict.fromkeys(Part, 0.0)
    for phase in phases:
        # Another version may have known phases that this one does not.
        part = _PARTS.get(phase["phase"])
        if part is not None:
            seconds[part] += float(phase["seconds"])
    return tuple((part, spent) for part, spent in seconds.items() if spent > 0.0)

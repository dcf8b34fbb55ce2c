"""Line charts as SVG: where the points stand, and how far the scale goes. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from vllm_pkg.portal.pages.machine.history import SAMPLES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 300
HEIGHT: Final = 60
# Half of the line's width at top and bottom, so that nothing of it is cut off.
_MARGIN: Final = 2
_STEPS: Final = (1, 2, 5, 10)


def scale_end(values: Sequence[float | None], least: float) -> float:
    """
    Return where a scale from 0 ends, so that all values are in it.

    Args:
        values: What is shown; None is a gap.
        least: The scale never ends before it.
    Returns:
        1, 2 or 5 times a power of ten, so that it does not change with each value.
    """
    highest = max((value for value in values if value is not None), default=0.0)
    if highest <= least:
        return least
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in _STEPS if step * power >= highest)


def lines(
    values: Sequence[float | None], end: float, samples_max: int = SAMPLES_MAX
) -> tuple[str, ...]:
    """
    Return the points of the lines, one line between two gaps.

    The newest value stands at the right; while there are few, the left is empty.

    Args:
        values: The oldest first; None is a gap.
        end: The value at the top; what is more is drawn there.
        samples_max: How many values the whole width has room for.
    Returns:
        What ``points`` of a ``polyline`` is, for each line. One value alone makes a
        short line.
    """
    step = WIDTH / max(1, samples_max - 1)
    first = WIDTH - step * (len(values) - 1)
    found: list[list[str]] = [[]]
    for position, value in enumerate(values):
        if value is None:
            found.append([])
            continue
        found[-1].append(_point(first + position * step, value / end))
    return tuple(" ".join(_visible(points)) for points in found if points)


def _point(x: float, share: float) -> str:
    room = HEIGHT - 2 * _MARGIN
    y = HEIGHT - _MARGIN - room * min(1.0, max(0.0, share))
    return f"{x:.1f},{y:.1f}"


def _visible(points: list[str]) -> list[str]:
    if len(points) > 1:
        return points
    x, y = points[0].split(",")
    return [f"{float(x) - 1:.1f},{y}", points[0]]

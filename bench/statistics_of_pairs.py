# ruff: noqa: INP001  # a script, in no package
"""Ratios of paired measurements with a bootstrap interval."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES: Final = 10_000
_LOW, _HIGH = 0.025, 0.975


@dataclass(frozen=True)
class Ratio:
    """
    The geometric mean of the ratios of pairs, and its 95 % interval.

    Args:
        mean: Over all pairs.
        low: Lower end.
        high: Upper end.
        pairs: How many pairs there were.
    """

    mean: float
    low: float
    high: float
    pairs: int


def ratio_of_pairs(values: Sequence[float], bases: Sequence[float]) -> Ratio:
    """
    Compare two series that were measured in pairs.

    Args:
        values: What is compared, one figure per pair, > 0.
        bases: What it is compared with, in the same order.
    Returns:
        The ratio; the interval is the percentile bootstrap over pairs.
    """
    logs = [math.log(a / b) for a, b in zip(values, bases, strict=True)]
    # A fixed seed: the same measurements give the same table.
    draw = random.Random(1)  # noqa: S311  # no secret is made of it
    means = sorted(
        math.fsum(draw.choices(logs, k=len(logs))) / len(logs) for _ in range(RESAMPLES)
    )
    return Ratio(
        mean=math.exp(math.fsum(logs) / len(logs)),
        low=math.exp(means[int(_LOW * RESAMPLES)]),
        high=math.exp(means[int(_HIGH * RESAMPLES)]),
        pairs=len(logs),
    )

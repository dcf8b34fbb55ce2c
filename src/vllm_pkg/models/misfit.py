"""Why a preset does not fit a machine: a value, and the words for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Obstacle(StrEnum):
    """What stands in the way."""

    NOT_OFFERED = "not-offered"
    NO_HARDWARE = "no-hardware"
    NO_FP8 = "no-fp8"
    TOO_SMALL = "too-small"
    UNEQUAL_CARDS = "unequal-cards"
    HEADS = "heads"
    WEIGHTS = "weights"
    NEEDS_CHANGE = "needs-change"
    ESTIMATED_SHORT = "estimated-short"


_TEXTS: Final[dict[Obstacle, str]] = {
    Obstacle.NOT_OFFERED: "not offered for {machines}",
    Obstacle.NO_HARDWARE: "{notes}",
    Obstacle.NO_FP8: "needs FP8, which {target} ({gpu}) does not compute",
    Obstacle.TOO_SMALL: "needs {needed_gib} GiB, this machine has {memory_gib} GiB",
    Obstacle.UNEQUAL_CARDS: (
        "needs {needed_gib} GiB in equal shares, and the smallest of {cards} cards has "
        "{smallest_gib} GiB"
    ),
    Obstacle.HEADS: (
        "needs {needed_gib} GiB, and its {heads} attention heads cannot be split over "
        "{numbers} cards"
    ),
    Obstacle.WEIGHTS: (
        "needs {needed_gib} GiB, and its weights cannot be split over {numbers} cards"
    ),
    Obstacle.NEEDS_CHANGE: "by its files here, it runs only with {change}",
    Obstacle.ESTIMATED_SHORT: "by its files here, {missing_gib} GiB are missing",
}


@dataclass(frozen=True)
class Misfit:
    """
    Why a preset does not fit.

    Args:
        obstacle: What stands in the way.
        places: What its words name.
    """

    obstacle: Obstacle
    places: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The reason in plain words, without a full stop."""
        return _TEXTS[self.obstacle].format_map(self.places)

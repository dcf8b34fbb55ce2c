"""What occupies the disk, as parts of a whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# More parts than these cannot be told apart by their colours.
MODELS_SHOWN: Final = 5
_PERCENT: Final = 100.0


class PartKind(StrEnum):
    """What a part of the disk is."""

    MODEL = "model"
    MORE_MODELS = "more-models"
    OTHER = "other"
    FREE = "free"


@dataclass(frozen=True)
class Part:
    """
    One part of the disk.

    Args:
        kind: What it is.
        name: Of one model; empty for the rest.
        size_bytes: How large it is.
        percent: Its share of the whole disk.
        models: How many models it stands for.
    """

    kind: PartKind
    name: str
    size_bytes: int
    percent: float
    models: int = 0


def divide_disk(
    models: Sequence[dict[str, Any]], total_bytes: int, free_bytes: int
) -> tuple[Part, ...]:
    """
    Divide the disk: models by size, what else is on it, and what is free.

    What models share counts once for each of them, so that all of them together may
    seem to be more than the disk has in use: nothing is left for the rest then.

    Args:
        models: As `vllm_pkg.service.cached_models.cache_json` describes them.
        total_bytes: Size of the disk; 0 when it is not known.
        free_bytes: What of it is free.
    Returns:
        The parts that are not empty, the largest model first.
    """
    sizes = sorted(
        ((item["model"], item["sizeBytes"]) for item in models),
        key=lambda item: (-item[1], item[0]),
    )
    alone, more = sizes[:MODELS_SHOWN], sizes[MODELS_SHOWN:]
    parts = [Part(PartKind.MODEL, name, size, 0.0, 1) for name, size in alone]
    rest_bytes = sum(size for _, size in more)
    parts.append(Part(PartKind.MORE_MODELS, "", rest_bytes, 0.0, len(more)))
    models_bytes = sum(part.size_bytes for part in parts)
    other_bytes = max(0, total_bytes - free_bytes - models_bytes)
    parts.append(Part(PartKind.OTHER, "", other_bytes, 0.0))
    parts.append(Part(PartKind.FREE, "", free_bytes, 0.0))
    whole_bytes = sum(part.size_bytes for part in parts)
    return tuple(
        Part(
            part.kind,
            part.name,
            part.size_bytes,
            _PERCENT * part.size_bytes / whole_bytes,
            part.models,
        )
        for part in parts
        if part.size_bytes
    )

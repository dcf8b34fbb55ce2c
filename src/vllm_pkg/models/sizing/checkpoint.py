"""What is known of a model's files without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.models.sizing.tensors import Tensor


class Origin(StrEnum):
    """Where it was read."""

    FOLDER = "folder"
    CACHE = "cache"
    HUB = "hub"


@dataclass(frozen=True)
class Checkpoint:
    """
    A model's files.

    Args:
        origin: Where it was read.
        config: Its ``config.json``.
        stored_bytes: Size of the files with the weights that the engine loads.
        tensors: What is in them; None when they are no safetensors files.
    """

    origin: Origin
    config: Mapping[str, Any]
    stored_bytes: int
    tensors: tuple[Tensor, ...] | None

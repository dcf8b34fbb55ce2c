"""
How much memory the weights take once vLLM has loaded them. Pure.

A checkpoint whose numbers are plain is loaded in the model's type, whatever it is
stored in; a compressed one stays as it is stored. What vLLM does not load is not
counted: layers for drafting ahead, and an output layer that is the embedding again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing.tensors import FLOATS
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.models.sizing.architecture import Architecture
    from vllm_pkg.models.sizing.tensors import Tensor

_LAYER: Final = re.compile(r"(?:^|\.)layers\.(\d+)\.")
_DRAFT: Final = re.compile(r"(?:^|\.)mtp\.")
_OUTPUT: Final = "lm_head.weight"
_NOT_LINEAR: Final = re.compile(r"embed|lm_head|norm|\.gate\.weight|router|conv")
_SENSES: Final = re.compile(r"vision|visual|audio|multi_modal")
_MATRIX: Final = 2
# Of what is compressed while loading: bytes per number, with its scales.
_COMPRESSED: Final = {"fp8": 1.0, "bitsandbytes": 0.53}
# Norms, routers and latent projections are whole on every card.
_COPIED_SHARE: Final = 0.02


@dataclass(frozen=True)
class Loading:
    """
    How the weights are loaded.

    Args:
        value_bytes: Size of one number in the type that the model runs in.
        quantization: Value of ``--quantization``, or None.
        is_drafting: Whether layers for drafting ahead are used.
        is_text_only: Whether what sees and hears is left out.
    """

    value_bytes: int
    quantization: str | None = None
    is_drafting: bool = False
    is_text_only: bool = False


def loaded_bytes(
    tensors: Iterable[Tensor], architecture: Architecture, loading: Loading
) -> int:
    """
    Return the bytes of all weights in memory, over all cards that share them.

    Args:
        tensors: The checkpoint.
        architecture: The model.
        loading: How they are loaded.
    Raises:
        NotKnown: ``--quantization`` compresses in a way that is not known here.
    """
    factor = _compression(architecture, loading)
    total = 0.0
    for tensor in tensors:
        if _is_loaded(tensor, architecture, loading):
            total += _bytes(tensor, architecture, loading, factor)
    return round(total)


def file_bytes(stored_bytes: int, architecture: Architecture, loading: Loading) -> int:
    """
    Return the bytes of all weights when only the sizes of the files are known.

    Raises:
        NotKnown: the weights are not loaded as they are stored.
    """
    if _compression(architecture, loading) is not None:
        raise NotKnown(
            f"--quantization {loading.quantization} changes weights whose types the "
            "repository does not tell"
        )
    return stored_bytes


def card_bytes(all_bytes: int, cards: int, stages: int = 1) -> int:
    """
    Return the bytes of weights on one card.

    Args:
        all_bytes: Of the whole model.
        cards: Cards that share every layer.
        stages: Groups of cards that have some of the layers each.
    """
    if cards == 1 and stages == 1:
        return all_bytes
    share = all_bytes / (cards * stages)
    return round(share * (1 + _COPIED_SHARE))


def _compression(architecture: Architecture, loading: Loading) -> float | None:
    """Return bytes per number of matrices that are compressed while loading."""
    if architecture.quantization is not None or loading.quantization is None:
        return None
    if loading.quantization not in _COMPRESSED:
        raise NotKnown(
            f"how --quantization {loading.quantization} changes the size of weights "
            "that are not compressed yet is not known"
        )
    return _COMPRESSED[loading.quantization]


def _is_loaded(tensor: Tensor, architecture: Architecture, loading: Loading) -> bool:
    if architecture.is_tied and tensor.name.endswith(_OUTPUT):
        return False
    if tensor.name.endswith("rotary_emb.inv_freq"):
        return False
    if _SENSES.search(tensor.name):
        return not loading.is_text_only
    found = _LAYER.search(tensor.name)
    is_further = found is not None and int(found[1]) >= architecture.hidden_layers
    is_draft = is_further or _DRAFT.search(tensor.name) is not None
    return loading.is_drafting or not is_draft


def _bytes(
    tensor: Tensor,
    architecture: Architecture,
    loading: Loading,
    factor: float | None,
) -> float:
    if architecture.quantization is not None or tensor.dtype not in FLOATS:
        return tensor.size_bytes
    is_compressed = (
        factor is not None
        and len(tensor.shape) >= _MATRIX
        and _NOT_LINEAR.search(tensor.name) is None
    )
    if factor is not None and is_compressed:
        return tensor.elements * factor
    return tensor.elements * loading.value_bytes

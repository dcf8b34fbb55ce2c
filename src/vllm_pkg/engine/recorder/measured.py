"""The memory that the engine says it has measured: pure, line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

_WEIGHTS: Final = re.compile(r"Model loading took ([\d.]+) GiB")
_CACHE: Final = re.compile(
    r"Available KV cache memory: ([\d.]+) GiB|Explicitly set \(([\d.]+)/[\d.]+\) GiB"
)
_TOKENS: Final = re.compile(r"(?:GPU|CPU|XPU) KV cache size: ([\d,]+) tokens")


@dataclass(frozen=True)
class MeasuredMemory:
    """
    What one start has measured; None where the engine did not say it.

    Args:
        weights_gib: Memory of the weights, per GPU. The CPU build does not tell.
        kv_cache_gib: Memory of the KV cache, per GPU.
        kv_cache_tokens: How many tokens fit in it.
    """

    weights_gib: float | None = None
    kv_cache_gib: float | None = None
    kv_cache_tokens: int | None = None


def measure(known: MeasuredMemory, line: str) -> MeasuredMemory:
    """Take one line into account; of several workers the first one counts."""
    if " GiB" not in line and " tokens" not in line:
        return known
    found = _WEIGHTS.search(line)
    if found and known.weights_gib is None:
        return replace(known, weights_gib=_number(found[1]))
    found = _CACHE.search(line)
    if found and known.kv_cache_gib is None:
        return replace(known, kv_cache_gib=_number(found[1] or found[2]))
    found = _TOKENS.search(line)
    if found and known.kv_cache_tokens is None:
        return replace(known, kv_cache_tokens=int(found[1].replace(",", "") or 0))
    return known


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

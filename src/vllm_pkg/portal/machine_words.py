"""What the machine does at the moment, in the reader's language: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_pkg.portal import wording
from vllm_pkg.portal.start_words import same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.portal.texts.catalogue import Texts


def describe_memory(
    texts: Texts, memory_gib: float, earlier: Sequence[Mapping[str, Any]]
) -> str:
    """
    Return what the model and its cache take; where that is not known, what there is.

    Args:
        texts: The language.
        memory_gib: Memory of the machine for models.
        earlier: Starts that became ready, the newest first; they have measured it.
    """
    measured = next(iter(same(earlier)), {})
    weights, cache = measured.get("weightsGib"), measured.get("kvCacheGib")
    if cache is None:
        total = wording.size_gib(texts, memory_gib)
        return texts("home.memory_total", memory=total)
    if weights is None:
        return texts("home.memory_cache", cache=wording.size_gib(texts, cache))
    return texts(
        "home.memory_both",
        weights=wording.size_gib(texts, weights),
        cache=wording.size_gib(texts, cache),
    )


class TokenRate:
    """Tokens per second between two looks at a counter."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def take(self, at_s: float, tokens: int) -> float | None:
        """
        Take one look into account.

        Args:
            at_s: When it was, in seconds since boot.
            tokens: The counter.
        Returns:
            The rate since the look before; None: there was none, or the engine has
            begun to count anew.
        """
        last, self._last = self._last, (at_s, tokens)
        if last is None or at_s <= last[0] or tokens < last[1]:
            return None
        return (tokens - last[1]) / (at_s - last[0])

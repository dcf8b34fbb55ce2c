"""
What earlier starts on this machine measured, and what that teaches the next estimate.

After each start the prediction is compared with what vLLM logged, and both are kept,
per model and arguments, in ``run/estimates.json``. The file can be rebuilt: a damaged
one reads as empty.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateError
from vllm_pkg.models.sizing.estimate import Correction
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.state import atomic, documents, locks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vllm_pkg.settings import Settings

KEPT_MAX: Final = 50
_STARTS: Final = "starts"
# Beyond these a measurement is one of something else.
_FACTOR_MIN: Final = 0.5
_FACTOR_MAX: Final = 2.0
_RESERVE_MAX_GIB: Final = 16.0
_TOLERANCE: Final = 0.005


@dataclass(frozen=True)
class Memory:
    """
    Memory of one start on each card, predicted or measured; None where not known.

    Args:
        weights_gib: Weights.
        kv_cache_gib: What was left for the KV cache.
        kv_cache_tokens: Tokens that it holds.
    """

    weights_gib: float | None = None
    kv_cache_gib: float | None = None
    kv_cache_tokens: int | None = None


@dataclass(frozen=True)
class Start:
    """
    One start.

    Args:
        predicted: Without any correction.
        measured: What vLLM logged.
        is_cpu: Whether it ran on the CPU.
    """

    predicted: Memory
    measured: Memory
    is_cpu: bool


def compare(start: Start) -> Correction:
    """
    Return what one start teaches about its own model. Pure.

    Args:
        start: What was predicted and what was measured.
    """
    predicted, measured = start.predicted, start.measured
    weights = _ratio(measured.weights_gib, predicted.weights_gib)
    return Correction(
        weights_factor=weights,
        reserve_bytes=round(_reserve_gib(start) * GIB),
        cache_factor=_ratio(_token_gib(measured), _token_gib(predicted)),
        is_learned=True,
    )


def choose(key: str, starts: Mapping[str, Start], *, is_cpu: bool) -> Correction:
    """
    Return the correction for the next estimate. Pure.

    Args:
        key: The model and its arguments.
        starts: Earlier starts, by the same kind of key.
        is_cpu: Whether the model is to run on the CPU.
    Returns:
        That of the same model when it was started here; else what is needed beside
        weights and cache, as the median of all other models.
    """
    if key in starts:
        return compare(starts[key])
    others = [
        _reserve_gib(start) for start in starts.values() if start.is_cpu is is_cpu
    ]
    if not others:
        return Correction()
    return Correction(reserve_bytes=round(median(others) * GIB), is_learned=True)


def read_starts(settings: Settings) -> dict[str, Start]:
    """Return the starts that are kept; nothing when they cannot be read."""
    try:
        document = documents.observe_object(settings.estimates_file) or {}
        return {
            key: Start(
                predicted=Memory(**entry["predicted"]),
                measured=Memory(**entry["measured"]),
                is_cpu=entry["is_cpu"] is True,
            )
            for key, entry in document[_STARTS].items()
        }
    except (StateError, KeyError, TypeError, AttributeError):
        return {}


def keep_start(settings: Settings, key: str, start: Start) -> None:
    """
    Keep one start; of the same model and arguments only the last one counts.

    Raises:
        StateWriteFailed: it cannot be written.
        StateLocked: other programs write it for longer than is reasonable.
    """
    file = settings.estimates_file
    atomic.make_folder(file.parent)
    with locks.locked(file.with_suffix(".lock")):
        kept = {name: one for name, one in read_starts(settings).items() if name != key}
        kept[key] = start
        newest = list(kept.items())[-KEPT_MAX:]
        content: dict[str, Any] = {_STARTS: {name: asdict(one) for name, one in newest}}
        atomic.write_file(file, documents.format_object(content))


def _reserve_gib(start: Start) -> float:
    """Return by how much more was needed beside weights and cache than predicted."""
    predicted, measured = start.predicted, start.measured
    if predicted.kv_cache_gib is None or measured.kv_cache_gib is None:
        return 0.0
    weights = (measured.weights_gib or 0.0) - (predicted.weights_gib or 0.0)
    if measured.weights_gib is None or predicted.weights_gib is None:
        weights = 0.0
    difference = predicted.kv_cache_gib - measured.kv_cache_gib - weights
    return max(-_RESERVE_MAX_GIB, min(_RESERVE_MAX_GIB, difference))


def _token_gib(memory: Memory) -> float | None:
    if not memory.kv_cache_gib or not memory.kv_cache_tokens:
        return None
    return memory.kv_cache_gib / memory.kv_cache_tokens


def _ratio(measured: float | None, predicted: float | None) -> float:
    """Return measured over predicted; 1 when one is missing or they agree."""
    if not measured or not predicted:
        return 1.0
    ratio = max(_FACTOR_MIN, min(_FACTOR_MAX, measured / predicted))
    # The log has two decimals: what it cannot tell apart is equal.
    return 1.0 if abs(ratio - 1) < _TOLERANCE else ratio


def model_key(model: str, arguments: Iterable[tuple[str, str]]) -> str:
    """Return what names a model with the arguments that decide about its memory."""
    told = " ".join(f"{name}={value}" for name, value in sorted(arguments))
    return f"{model} {told}".rstrip()

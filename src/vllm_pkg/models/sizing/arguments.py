"""
The arguments of ``vllm serve`` that decide about memory. Pure.

They come as a mapping from the name of an option, as the engine's table calls it, to
its last value; an option without a value has the empty text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MODEL_LEN: Final = "--max-model-len"
TENSOR_PARALLEL: Final = "--tensor-parallel-size"
CACHE_DTYPE: Final = "--kv-cache-dtype"
UTILIZATION: Final = "--gpu-memory-utilization"
CACHE_BYTES: Final = "--kv-cache-memory-bytes"
EAGER: Final = "--enforce-eager"
SPECULATIVE: Final = "--speculative-config"
AUTO: Final = "auto"
UTILIZATION_DEFAULT: Final = 0.92
# They change memory in ways that the estimate does not follow.
NOT_COUNTED: Final = (
    SPECULATIVE,
    "--enable-lora",
    "--cpu-offload-gb",
    "--kv-offloading-size",
    "--data-parallel-size",
    "--decode-context-parallel-size",
    "--prefill-context-parallel-size",
    "--kv-cache-dtype-skip-layers",
    "--mamba-cache-dtype",
    "--mamba-ssm-cache-dtype",
    "--mamba-block-size",
)
# They change what the model is.
UNFOLLOWED: Final = ("--hf-overrides", "--hf-config-path", "--load-format")
_FOLLOWED_FORMATS: Final = frozenset({AUTO, "safetensors", "hf"})
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([kKmMgGtT]?)")
_UNITS: Final = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "K": 2**10,
    "M": 2**20,
    "G": 2**30,
    "T": 2**40,
}


@dataclass(frozen=True)
class ServeArguments:
    """
    What was asked for; None where vLLM decides.

    Args:
        context_tokens: Longest sequence.
        is_context_automatic: Whether vLLM is to take the longest that fits.
        cache_dtype: Type of the KV cache, or ``auto``.
        cards: Cards that share every layer.
        stages: Groups of cards that have some of the layers each.
        sequences: Sequences that run at once.
        batched_tokens: Tokens that are computed at once.
        utilization: Share of a card's memory that the engine may take.
        cache_bytes: Memory for the KV cache of each card, if it was given.
        block_tokens: Tokens per block of the cache.
        dtype: Type that the model runs in, or ``auto``.
        quantization: How weights are compressed while loading.
        is_eager: Whether no graphs are captured.
        is_prefix_caching: Whether prompts are remembered.
        is_hybrid: Whether windows may save memory.
        is_asynchronous: Whether the next step is planned while one runs.
        is_text_only: Whether what sees and hears is left out.
        revision: Which revision of the repository.
        not_counted: Options that matter and are not counted.
        unfollowed: Options with which the config is not what is served.
    """

    context_tokens: int | None = None
    is_context_automatic: bool = False
    cache_dtype: str = AUTO
    cards: int = 1
    stages: int = 1
    sequences: int | None = None
    batched_tokens: int | None = None
    utilization: float = UTILIZATION_DEFAULT
    cache_bytes: int | None = None
    block_tokens: int | None = None
    dtype: str = AUTO
    quantization: str | None = None
    is_eager: bool = False
    is_prefix_caching: bool = True
    is_hybrid: bool = True
    is_asynchronous: bool = True
    is_text_only: bool = False
    revision: str | None = None
    not_counted: tuple[str, ...] = ()
    unfollowed: tuple[str, ...] = ()


def read_arguments(values: Mapping[str, str]) -> ServeArguments:
    """
    Understand the values of options.

    Args:
        values: By the option's name; other options are passed over.
    Raises:
        InvalidArgument: a number cannot be understood.
    """
    length = values.get(MAX_MODEL_LEN, "")
    is_automatic = length in {AUTO, "-1"}
    return ServeArguments(
        context_tokens=None if is_automatic else _count(values, MAX_MODEL_LEN),
        is_context_automatic=is_automatic,
        cache_dtype=values.get(CACHE_DTYPE, AUTO),
        cards=_count(values, TENSOR_PARALLEL) or 1,
        stages=_count(values, "--pipeline-parallel-size") or 1,
        sequences=_count(values, "--max-num-seqs"),
        batched_tokens=_count(values, "--max-num-batched-tokens"),
        utilization=_share(values, UTILIZATION),
        cache_bytes=_count(values, CACHE_BYTES),
        block_tokens=_count(values, "--block-size"),
        dtype=values.get("--dtype", AUTO),
        quantization=values.get("--quantization"),
        is_eager=_flag(values, EAGER, default=False),
        is_prefix_caching=_flag(values, "--enable-prefix-caching", default=True),
        is_hybrid=not _flag(values, "--disable-hybrid-kv-cache-manager", default=False),
        is_asynchronous=_flag(values, "--async-scheduling", default=True),
        is_text_only=_flag(values, "--language-model-only", default=False),
        revision=values.get("--revision"),
        not_counted=tuple(name for name in NOT_COUNTED if name in values),
        unfollowed=tuple(name for name in UNFOLLOWED if _changes(values, name)),
    )


def read_size(text: str) -> int | None:
    """
    Return a number as vLLM reads it: ``1k`` is 1000, ``1K`` is 1024; None for others.

    Source: vLLM 0.32, engine/arg_utils.py, human_readable_int.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    number, unit = found.groups()
    if "." not in number:
        return int(number) * _UNITS[unit]
    return int(float(number) * _UNITS[unit]) if unit else None


def _changes(values: Mapping[str, str], name: str) -> bool:
    given = values.get(name)
    return given is not None and given not in _FOLLOWED_FORMATS


def _count(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    number = read_size(text)
    if not number:
        raise InvalidArgument(
            f"{name} is {text!r}", hint="give a whole number above 0, such as 8192"
        )
    return number


def _share(values: Mapping[str, str], name: str) -> float:
    text = values.get(name)
    if text is None:
        return UTILIZATION_DEFAULT
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise InvalidArgument(f"{name} is {text!r}", hint="give a number up to 1")
    return share


def _flag(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return what a switch or its opposite says."""
    if name in values:
        return True
    return default and f"--no-{name.removeprefix('--')}" not in values

"""
What the arguments mean for a model on a machine: number types, and the cache's layout.

Pure. Source: vLLM 0.32, config/model.py, platforms/cpu.py, platforms/interface.py and
v1/attention/backends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing.architecture import LayerKind
from vllm_pkg.models.sizing.arguments import AUTO
from vllm_pkg.models.sizing.cache_plan import CacheRules, plan_cache
from vllm_pkg.models.sizing.reserve import plan_step
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from vllm_pkg.models.sizing.architecture import Architecture
    from vllm_pkg.models.sizing.arguments import ServeArguments
    from vllm_pkg.models.sizing.cache_plan import CachePlan
    from vllm_pkg.models.sizing.machine import Machine

_GPU_BLOCK_TOKENS: Final = 16
_GPU_MLA_BLOCK_TOKENS: Final = 64
_CPU_BLOCK_TOKENS: Final = 128
_CPU_MLA_BLOCK_TOKENS: Final = 16
_CPU_STEP_TOKENS: Final = 32
_DTYPE_BYTES: Final = {
    "half": 2,
    "float16": 2,
    "bfloat16": 2,
    "float": 4,
    "float32": 4,
}
_CACHE_BYTES: Final = {
    "float16": 2,
    "bfloat16": 2,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "fp8_inc": 1,
}
_CPU_STATE_BYTES: Final = 4


def value_bytes(architecture: Architecture, arguments: ServeArguments) -> int:
    """
    Return the size of one number in the type that the model runs in.

    Raises:
        NotKnown: the type is not known.
    """
    if arguments.dtype != AUTO:
        if arguments.dtype not in _DTYPE_BYTES:
            raise NotKnown(f"the type {arguments.dtype!r} of --dtype is not known")
        return _DTYPE_BYTES[arguments.dtype]
    # A config that does not say it: vLLM takes what most weights are stored in, and
    # makes 32 bits 16.
    return architecture.value_bytes or 2


def plan_for(
    architecture: Architecture,
    arguments: ServeArguments,
    machine: Machine,
    context_tokens: int,
) -> CachePlan:
    """
    Lay out the KV cache of one card.

    Args:
        architecture: The model.
        arguments: What was asked for.
        machine: Where it runs.
        context_tokens: Longest sequence.
    Raises:
        NotKnown: the type of the cache is not known, or the layout is not.
    """
    step = plan_step(arguments, machine, context_tokens)
    is_ahead = arguments.is_asynchronous and not machine.is_cpu
    rules = CacheRules(
        value_bytes=_cache_value_bytes(architecture, arguments),
        model_bytes=value_bytes(architecture, arguments),
        cards=arguments.cards,
        block_tokens=arguments.block_tokens or _block_tokens(architecture, machine),
        step_tokens=_CPU_STEP_TOKENS if machine.is_cpu else _GPU_BLOCK_TOKENS,
        in_flight_tokens=step.tokens * (arguments.stages + is_ahead),
        is_prefix_caching=arguments.is_prefix_caching,
        is_hybrid=arguments.is_hybrid,
        # The CPU's fast kernels keep recurrent states in 32 bits.
        state_element_bytes=_CPU_STATE_BYTES if machine.is_cpu else None,
    )
    # With stages, each has its part of the layers.
    own = -(-len(architecture.layers) // arguments.stages)
    return plan_cache(replace(architecture, layers=architecture.layers[:own]), rules)


def _block_tokens(architecture: Architecture, machine: Machine) -> int:
    is_latent = any(layer.kind is LayerKind.MLA for layer in architecture.layers)
    if machine.is_cpu:
        # Only vLLM's reference implementation has blocks of its own size.
        is_reference = is_latent and not machine.has_amx
        return _CPU_MLA_BLOCK_TOKENS if is_reference else _CPU_BLOCK_TOKENS
    return _GPU_MLA_BLOCK_TOKENS if is_latent else _GPU_BLOCK_TOKENS


def _cache_value_bytes(architecture: Architecture, arguments: ServeArguments) -> int:
    asked = arguments.cache_dtype
    if asked == AUTO:
        own = architecture.cache_value_bytes
        return own or value_bytes(architecture, arguments)
    if asked not in _CACHE_BYTES:
        raise NotKnown(f"the size of a KV cache in {asked!r} is not known")
    return _CACHE_BYTES[asked]

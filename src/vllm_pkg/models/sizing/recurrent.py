"""
Layers with a recurrent state: Mamba 1 and 2, and Gated DeltaNet.

Source: vLLM 0.32, model_executor/layers/mamba/mamba_utils.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing.architecture import Layer, LayerKind, State
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from vllm_pkg.models.sizing.config_facts import Facts

FLOAT_BYTES: Final = {"float32": 4, "float16": 2, "bfloat16": 2}
_ATTENTION: Final = frozenset({"attention", "full_attention"})
# Layers without a memory of their own: feed-forward ones that are counted too.
_MEMORYLESS: Final = frozenset({"moe", "mlp"})
_PATTERN: Final = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


def mixed(
    kinds: tuple[str, ...], attention: Layer, state: Layer, state_kind: str
) -> tuple[Layer, ...]:
    """
    Return the layers that a list of kinds describes.

    Raises:
        NotKnown: a kind is not known.
    """
    layers = []
    for kind in kinds:
        if kind in _ATTENTION:
            layers.append(attention)
        elif kind in {state_kind, "linear_attention"}:
            layers.append(state)
        elif kind not in _MEMORYLESS:
            raise NotKnown(f"layers of the kind {kind!r} are not known")
    return tuple(layers)


def pattern(facts: Facts) -> tuple[str, ...]:
    """
    Return the kinds that a pattern of letters describes (Nemotron-H).

    Raises:
        NotKnown: there is none, or a letter is not known.
    """
    text = facts.get("hybrid_override_pattern")
    if not isinstance(text, str) or not {*text} <= {*_PATTERN}:
        raise NotKnown("config.json has no hybrid_override_pattern that is known")
    return tuple(_PATTERN[letter] for letter in text)


def delta_net(facts: Facts) -> Layer:
    """Return a Gated DeltaNet layer (Qwen3-Next, Qwen3.5 and 3.6)."""
    keys = facts.number("linear_num_key_heads") * facts.number("linear_key_head_dim")
    heads = facts.number("linear_num_value_heads")
    width = facts.number("linear_value_head_dim")
    return _layer(
        State(
            channels=2 * keys + heads * width,
            groups=0,
            group_channels=0,
            steps=facts.number("linear_conv_kernel_dim") - 1,
            elements=heads * width * facts.number("linear_key_head_dim"),
            heads=heads,
            element_bytes=_bytes(facts, "mamba_ssm_dtype"),
        )
    )


def nemotron(facts: Facts) -> Layer:
    """Return a Mamba 2 layer of Nemotron-H, whose state is in 32 bits."""
    heads, width = facts.number("mamba_num_heads"), facts.number("mamba_head_dim")
    return _mamba2_layer(
        heads=heads,
        head_dim=width,
        inner=heads * width,
        groups=facts.number("n_groups"),
        state_size=facts.number("ssm_state_size"),
        kernel=facts.number("conv_kernel"),
        element_bytes=_bytes(facts, "mamba_ssm_cache_dtype") or 4,
    )


def granite(facts: Facts) -> Layer:
    """Return a Mamba 2 layer of Granite 4."""
    return _mamba2_layer(
        heads=facts.number("mamba_n_heads"),
        head_dim=facts.number("mamba_d_head"),
        inner=facts.number("mamba_expand") * facts.number("hidden_size"),
        groups=facts.number("mamba_n_groups"),
        state_size=facts.number("mamba_d_state"),
        kernel=facts.number("mamba_d_conv"),
    )


def mamba2(facts: Facts) -> Layer:
    """Return a layer of a pure Mamba 2 model."""
    return _mamba2_layer(
        heads=facts.number("num_heads"),
        head_dim=facts.number("head_dim"),
        inner=facts.number("expand") * facts.number("hidden_size"),
        groups=facts.number("n_groups"),
        state_size=facts.number("state_size"),
        kernel=facts.number("conv_kernel"),
    )


def mamba(facts: Facts) -> Layer:
    """Return a layer of a pure Mamba 1 model."""
    inner = facts.number("intermediate_size")
    return _layer(
        State(
            channels=inner,
            groups=0,
            group_channels=0,
            steps=facts.number("conv_kernel") - 1,
            elements=inner * facts.number("state_size"),
            heads=inner,
        )
    )


def _mamba2_layer(
    *,
    heads: int,
    head_dim: int,
    inner: int,
    groups: int,
    state_size: int,
    kernel: int,
    element_bytes: int | None = None,
) -> Layer:
    return _layer(
        State(
            channels=inner,
            groups=groups,
            group_channels=2 * state_size,
            steps=kernel - 1,
            elements=heads * head_dim * state_size,
            heads=heads,
            element_bytes=element_bytes,
        )
    )


def _layer(state: State) -> Layer:
    return Layer(LayerKind.RECURRENT, state=state)


def _bytes(facts: Facts, name: str) -> int | None:
    """Return the size of a number type that the config names, or None."""
    given = facts.get(name)
    if given is None:
        return None
    if given not in FLOAT_BYTES:
        raise NotKnown(f"config.json has {given!r} at {name}")
    return FLOAT_BYTES[given]

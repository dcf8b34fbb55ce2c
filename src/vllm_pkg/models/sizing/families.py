"""
Which layers the models of a family have: a table from ``model_type`` to a reader.

A family that is not in the table is not known, and its models are not guessed at.
Source: vLLM 0.32, model_executor/models, and the defaults of the configuration classes
of transformers 5 that vLLM reads the files with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.sizing import recurrent
from vllm_pkg.models.sizing.architecture import Layer, LayerKind
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vllm_pkg.models.sizing.config_facts import Facts

Layers = tuple[Layer, ...]
SLIDING: Final = "sliding_attention"
_FULL: Final = frozenset({"full_attention", "attention"})


@dataclass(frozen=True)
class Family:
    """
    How to read the configs of one family.

    Args:
        layers: Gives the layers that keep something.
        defaults: What the family's configs leave out.
    """

    layers: Callable[[Facts], Layers]
    defaults: Mapping[str, Any] = field(default_factory=dict)


def find_family(model_type: str) -> Family:
    """
    Return the family of a ``model_type``.

    Raises:
        NotKnown: this version does not know it.
    """
    family = FAMILIES.get(model_type)
    if family is None:
        raise NotKnown(f"the layers of models of the type {model_type!r} are not known")
    return family


def _full(facts: Facts) -> Layer:
    return Layer(LayerKind.FULL, facts.kv_heads, facts.head_dim)


def _sliding(facts: Facts, window_tokens: int) -> Layer:
    return Layer(LayerKind.SLIDING, facts.kv_heads, facts.head_dim, window_tokens)


def _plain(facts: Facts) -> Layers:
    """Read equal layers: with a window all of them have it, unless they are listed."""
    count = facts.number("num_hidden_layers")
    window = facts.optional("sliding_window") or 0
    kinds = facts.names("layer_types")
    if kinds is None:
        layer = _sliding(facts, window) if window else _full(facts)
        return (layer,) * count
    return _listed(facts, kinds, window)


def _with_switch(facts: Facts) -> Layers:
    """Read equal layers whose window counts only when a switch says so (Qwen)."""
    if facts.get("use_sliding_window"):
        raise NotKnown("its sliding window begins in the middle of the model")
    return (_full(facts),) * facts.number("num_hidden_layers")


def _listed(facts: Facts, kinds: tuple[str, ...], window_tokens: int) -> Layers:
    unknown = sorted({*kinds} - _FULL - {SLIDING})
    if unknown or (SLIDING in kinds and not window_tokens):
        what = unknown[0] if unknown else "sliding_attention without sliding_window"
        raise NotKnown(f"layers of the kind {what!r} are not known for this model")
    if len(kinds) != facts.number("num_hidden_layers"):
        raise NotKnown("layer_types and num_hidden_layers do not agree")
    full = _full(facts)
    return tuple(
        _sliding(facts, window_tokens) if kind == SLIDING else full for kind in kinds
    )


def _every(period: int, extra_tokens: int = 0) -> Callable[[Facts], Layers]:
    """Return a reader: each layer has a window but every so many-th, or as listed."""

    def read(facts: Facts) -> Layers:
        window = facts.number("sliding_window") + extra_tokens
        kinds = facts.names("layer_types")
        if kinds is None:
            every = facts.optional("sliding_window_pattern") or period
            kinds = tuple(
                SLIDING if number % every else "full_attention"
                for number in range(1, facts.number("num_hidden_layers") + 1)
            )
        return _listed(facts, kinds, window)

    return read


def _gpt_oss(facts: Facts) -> Layers:
    # vLLM does not read layer_types here: every other layer has a window.
    pair = (_sliding(facts, facts.number("sliding_window")), _full(facts))
    return tuple(pair[n % 2] for n in range(facts.number("num_hidden_layers")))


def _llama4(facts: Facts) -> Layers:
    count = facts.number("num_hidden_layers")
    every = facts.optional("no_rope_layer_interval") or 4
    listed = facts.get("no_rope_layers") or [n % every for n in range(1, count + 1)]
    if not isinstance(listed, list) or len(listed) != count:
        raise NotKnown("no_rope_layers and num_hidden_layers do not agree")
    chunk = Layer(
        LayerKind.CHUNKED,
        facts.kv_heads,
        facts.head_dim,
        facts.number("attention_chunk_size"),
    )
    return tuple(chunk if is_local else _full(facts) for is_local in listed)


def _gemma4(facts: Facts) -> Layers:
    """Read layers of two shapes, the last of which may use the cache of others."""
    count = facts.number("num_hidden_layers")
    kinds = facts.names("layer_types") or tuple(
        SLIDING if number % 6 else "full_attention" for number in range(1, count + 1)
    )
    global_heads = facts.optional("num_global_key_value_heads")
    if not facts.get("attention_k_eq_v") or not global_heads:
        global_heads = facts.kv_heads
    wide = Layer(LayerKind.FULL, global_heads, facts.number("global_head_dim"))
    own = _listed(facts, kinds, facts.number("sliding_window"))
    shared = facts.optional("num_kv_shared_layers") or 0
    layers = [wide if layer.kind is LayerKind.FULL else layer for layer in own]
    # The last layer is always a full one, whatever the list says.
    layers[-1] = wide
    return tuple(layers[: count - shared])


def _mla(facts: Facts) -> Layers:
    width = facts.number("kv_lora_rank") + facts.number("qk_rope_head_dim")
    return (Layer(LayerKind.MLA, 1, width),) * facts.number("num_hidden_layers")


def _delta_net(facts: Facts) -> Layers:
    count = facts.number("num_hidden_layers")
    every = facts.optional("full_attention_interval") or 4
    kinds = facts.names("layer_types") or tuple(
        "linear_attention" if number % every else "full_attention"
        for number in range(1, count + 1)
    )
    return recurrent.mixed(
        kinds, _full(facts), recurrent.delta_net(facts), "linear_attention"
    )


def _nemotron_h(facts: Facts) -> Layers:
    kinds = facts.names("layers_block_type") or recurrent.pattern(facts)
    return recurrent.mixed(kinds, _full(facts), recurrent.nemotron(facts), "mamba")


def _granite_hybrid(facts: Facts) -> Layers:
    kinds = facts.names("layer_types") or facts.names("layers_block_type")
    if kinds is None:
        raise NotKnown("config.json does not say which layers are Mamba layers")
    return recurrent.mixed(kinds, _full(facts), recurrent.granite(facts), "mamba")


def _mamba(facts: Facts) -> Layers:
    return (recurrent.mamba(facts),) * facts.number("num_hidden_layers", "n_layer")


def _mamba2(facts: Facts) -> Layers:
    return (recurrent.mamba2(facts),) * facts.number("num_hidden_layers")


def _encoder(facts: Facts) -> Layers:
    facts.number("num_hidden_layers")
    return ()


_GEMMA3: Final = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
}
_TIED: Final = {"tie_word_embeddings": True}
_PLAIN_TYPES: Final = (
    "arcee",
    "cohere",
    "dots1",
    "ernie4_5",
    "ernie4_5_moe",
    "exaone",
    "glm",
    "glm4",
    "glm4_moe",
    "granite",
    "granitemoe",
    "granitemoeshared",
    "hunyuan_v1_dense",
    "hunyuan_v1_moe",
    "internlm2",
    "internlm3",
    "llama",
    "mimo",
    "minimax_m2",
    "ministral3",
    "mixtral",
    "nemotron",
    "olmo",
    "olmo2",
    "olmoe",
    "opt",
    "phi",
    "phi3",
    "phimoe",
    "seed_oss",
    "stablelm",
    "starcoder2",
)
_SWITCH_TYPES: Final = (
    "qwen2",
    "qwen2_moe",
    "qwen2_vl",
    "qwen2_vl_text",
    "qwen2_5_vl",
    "qwen2_5_vl_text",
    "qwen3",
    "qwen3_moe",
    "qwen3_vl_text",
    "qwen3_vl_moe_text",
    "smollm3",
)
_MLA_TYPES: Final = (
    "deepseek_v2",
    "deepseek_v3",
    "glm4_moe_lite",
    "kimi_k2",
)
_DELTA_NET_TYPES: Final = (
    "qwen3_next",
    "qwen3_5_text",
    "qwen3_5_moe_text",
)
_ENCODER_TYPES: Final = (
    "bert",
    "roberta",
    "xlm-roberta",
    "modernbert",
)

FAMILIES: Final[dict[str, Family]] = {
    **{name: Family(_plain) for name in _PLAIN_TYPES},
    **{name: Family(_with_switch) for name in _SWITCH_TYPES},
    **{name: Family(_mla) for name in _MLA_TYPES},
    **{name: Family(_delta_net) for name in _DELTA_NET_TYPES},
    **{name: Family(_encoder) for name in _ENCODER_TYPES},
    "gemma": Family(_plain, _TIED),
    "mistral": Family(_plain, {"sliding_window": 4096, "num_key_value_heads": 8}),
    "gemma2": Family(_every(2), _TIED | {"sliding_window": 4096}),
    "gemma3_text": Family(_every(6), _GEMMA3),
    "cohere2": Family(_every(4, extra_tokens=1), _TIED | {"sliding_window": 4096}),
    "exaone4": Family(_every(4)),
    "gpt_oss": Family(_gpt_oss),
    "llama4_text": Family(_llama4, {"attention_chunk_size": 8192}),
    "gemma4_text": Family(_gemma4, _TIED | {"global_head_dim": 512}),
    "nemotron_h": Family(_nemotron_h),
    "granitemoehybrid": Family(_granite_hybrid),
    "mamba": Family(_mamba, _TIED),
    "falcon_mamba": Family(_mamba, _TIED),
    "mamba2": Family(_mamba2),
}

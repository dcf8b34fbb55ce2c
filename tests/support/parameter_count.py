"""
The number of parameters that a published config stands for, counted tensor by tensor.

It uses what the product reads out of the config (layers, heads, their width) for the
attention, so that a wrong reading gives a number that nobody published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_pkg.models.sizing.architecture import LayerKind
from vllm_pkg.models.sizing.reading import read_architecture

if TYPE_CHECKING:
    from vllm_pkg.models.sizing.architecture import Architecture, Layer

SANDWICHED = {"gemma2", "gemma3_text"}
NORMED_HEADS = {"qwen3", "qwen3_moe", "qwen3_next", "gemma3_text"}


def count_parameters(config: dict[str, Any]) -> int:
    """Return the parameters of a language model, the output layer once."""
    architecture = read_architecture(config)
    text = config.get("text_config", config)
    hidden = architecture.hidden_size
    embedding = architecture.vocabulary * hidden
    total = embedding * (1 if architecture.is_tied else 2) + hidden
    norms = 4 if architecture.model_type in SANDWICHED else 2
    for number, layer in enumerate(architecture.layers):
        total += _memory(architecture, layer, text) + norms * hidden
        total += _feed_forward(architecture, number, text)
    return total


def _memory(model: Architecture, layer: Layer, text: dict[str, Any]) -> int:
    if layer.kind is LayerKind.MLA:
        return _latent(model, layer, text)
    if layer.kind is LayerKind.RECURRENT:
        return _delta_net(model, text)
    return _attention(model, layer, text)


def _delta_net(model: Architecture, text: dict[str, Any]) -> int:
    keys = text["linear_num_key_heads"] * text["linear_key_head_dim"]
    heads, width = text["linear_num_value_heads"], text["linear_value_head_dim"]
    values = heads * width
    total = model.hidden_size * (2 * keys + 2 * values + 2 * heads)
    total += (2 * keys + values) * text["linear_conv_kernel_dim"] + 2 * heads + width
    return int(total + values * model.hidden_size)


def _attention(model: Architecture, layer: Layer, text: dict[str, Any]) -> int:
    queries = model.attention_heads * layer.head_dim
    keys = layer.kv_heads * layer.head_dim
    total = model.hidden_size * (2 * queries + 2 * keys)
    if model.model_type == "qwen3_next":
        # A gate as wide as the queries.
        total += model.hidden_size * queries
    if model.model_type in NORMED_HEADS:
        total += 2 * layer.head_dim
    if model.model_type == "qwen2":
        total += queries + 2 * keys
    if text.get("attention_bias"):
        total += queries + 2 * keys + model.hidden_size
    if model.model_type == "gpt_oss":
        total += model.attention_heads
    return total


def _latent(model: Architecture, layer: Layer, text: dict[str, Any]) -> int:
    hidden, heads = model.hidden_size, model.attention_heads
    latent = text["kv_lora_rank"]
    rank = text["q_lora_rank"]
    query = heads * (text["qk_nope_head_dim"] + text["qk_rope_head_dim"])
    total = hidden * query if rank is None else rank * (hidden + 1 + query)
    total += hidden * layer.head_dim + latent
    total += latent * heads * (text["qk_nope_head_dim"] + text["v_head_dim"])
    return int(total + heads * text["v_head_dim"] * hidden)


def _feed_forward(model: Architecture, number: int, text: dict[str, Any]) -> int:
    hidden, dense = model.hidden_size, text["intermediate_size"]
    experts = next(
        (
            text[name]
            for name in ("num_experts", "num_local_experts", "n_routed_experts")
            if name in text
        ),
        0,
    )
    if not experts or number < text.get("first_k_dense_replace", 0):
        return int(3 * hidden * dense)
    width = text.get("moe_intermediate_size", dense)
    shared = text.get("n_shared_experts", 0)
    total = 3 * hidden * width * (experts + shared) + hidden * experts
    if "shared_expert_intermediate_size" in text:
        total += 3 * hidden * text["shared_expert_intermediate_size"] + hidden
    if model.model_type == "gpt_oss":
        total += experts * (2 * width + hidden) + experts
    if model.model_type == "deepseek_v3":
        # One number per expert that keeps them equally busy.
        total += experts
    return int(total)

"""
Reading a ``config.json`` into an `Architecture`. Pure.

Source: vLLM 0.32, ModelArchConfigConvertorBase and _get_and_verify_max_len.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.sizing.architecture import Architecture
from vllm_pkg.models.sizing.config_facts import Facts
from vllm_pkg.models.sizing.families import Family, find_family
from vllm_pkg.models.sizing.recurrent import FLOAT_BYTES
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TEXT_KEYS: Final = ("text_config", "llm_config", "language_config")
_LENGTH_KEYS: Final = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
# Their max_position_embeddings is the stretched length already.
_STRETCHED: Final = frozenset(
    {"llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
)
_LONG: Final = frozenset({"longrope", "su"})
_EXPERTS_PER_TOKEN: Final = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "top_k_experts",
    "moe_topk",
    "moe_top_k",
)


def read_architecture(config: Mapping[str, Any]) -> Architecture:
    """
    Read what a ``config.json`` says about memory.

    Args:
        config: The JSON object; of a model that sees or hears, its language model is
            what keeps a cache.
    Raises:
        NotKnown: the family is not known, or something that it needs is missing.
    """
    text = _text_config(config)
    model_type = text.get("model_type") or config.get("model_type")
    if not isinstance(model_type, str):
        raise NotKnown("config.json has no model_type")
    family = find_family(model_type)
    facts = Facts(text, family.defaults)
    quantization = _quantization(config, text)
    return Architecture(
        model_type=model_type,
        layers=family.layers(facts),
        hidden_layers=_hidden_layers(facts),
        hidden_size=facts.number("hidden_size"),
        attention_heads=facts.optional("num_attention_heads") or 0,
        vocabulary=facts.number("vocab_size"),
        mlp_width=_mlp_width(facts),
        context_tokens=_context_tokens(config, facts),
        value_bytes=_value_bytes(config, text),
        quantization=_quantization_name(quantization),
        cache_value_bytes=_cache_value_bytes(quantization),
        is_tied=_is_tied(config, text, family),
    )


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in _TEXT_KEYS:
        inner = config.get(key)
        if isinstance(inner, dict):
            return inner
    return config


def _hidden_layers(facts: Facts) -> int:
    pattern = facts.get("hybrid_override_pattern")
    counted = facts.optional("num_hidden_layers", "n_layer")
    return counted or (len(pattern) if isinstance(pattern, str) else 0)


def _is_tied(
    config: Mapping[str, Any], text: Mapping[str, Any], family: Family
) -> bool:
    for values in (text, config, family.defaults):
        if isinstance(values.get("tie_word_embeddings"), bool):
            return bool(values["tie_word_embeddings"])
    return False


def _mlp_width(facts: Facts) -> int:
    dense = facts.optional("intermediate_size", "ffn_dim") or 0
    used = facts.optional(*_EXPERTS_PER_TOKEN) or 0
    # Without a width of their own, experts have that of the dense layers (Mixtral).
    expert = facts.optional("moe_intermediate_size") or dense
    shared = facts.optional("shared_expert_intermediate_size") or 0
    return max(dense, used * expert + shared)


def _value_bytes(config: Mapping[str, Any], text: Mapping[str, Any]) -> int | None:
    for values in (config, text):
        for key in ("dtype", "torch_dtype"):
            name = values.get(key)
            if isinstance(name, str):
                # vLLM serves 32-bit checkpoints in 16 bits, unless told otherwise.
                return min(FLOAT_BYTES.get(name.removeprefix("torch."), 2), 2)
    return None


def _quantization(
    config: Mapping[str, Any], text: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    for values in (config, text):
        for key in ("quantization_config", "compression_config"):
            found = values.get(key)
            if isinstance(found, dict):
                return found
    return None


def _quantization_name(quantization: Mapping[str, Any] | None) -> str | None:
    if quantization is None:
        return None
    method = quantization.get("quant_method")
    return method if isinstance(method, str) and method else "unnamed"


def _cache_value_bytes(quantization: Mapping[str, Any] | None) -> int | None:
    """Return the size that the checkpoint asks for in the KV cache, or None."""
    if quantization is None:
        return None
    scheme = quantization.get("kv_cache_scheme")
    inner = quantization.get("quantization")
    algorithm = quantization.get("kv_cache_quant_algo") or (
        inner.get("kv_cache_quant_algo") if isinstance(inner, dict) else None
    )
    if isinstance(scheme, dict):
        algorithm = "fp8" if scheme.get("num_bits") == 8 else "another size"  # noqa: PLR2004  # bits
    if algorithm is None:
        return None
    if str(algorithm).lower() != "fp8":
        raise NotKnown(f"the checkpoint asks for a KV cache in {algorithm}")
    return 1


def _context_tokens(config: Mapping[str, Any], facts: Facts) -> int | None:
    """Return the longest sequence that vLLM takes without being told, or None."""
    own = facts.optional("model_max_length")
    lengths = [facts.optional(key) for key in _LENGTH_KEYS]
    longest = own or min((length for length in lengths if length), default=None)
    if longest is None:
        return None
    factor = 1.0
    for rope in _ropes(facts):
        kind = rope.get("rope_type") or rope.get("type")
        if kind in _LONG:
            return facts.optional("original_max_position_embeddings") or longest
        given = rope.get("factor")
        if kind not in _STRETCHED and isinstance(given, (int, float)):
            factor = float(given)
    # Of Gemma 3 the length is the stretched one already.
    is_gemma3 = "gemma3" in str(config.get("model_type"))
    return longest if is_gemma3 else int(longest * factor)


def _ropes(facts: Facts) -> Iterator[Mapping[str, Any]]:
    """Yield what is said about positions, once or per kind of layer."""
    for key in ("rope_scaling", "rope_parameters"):
        given = facts.get(key)
        if isinstance(given, dict):
            inner = [value for value in given.values() if isinstance(value, dict)]
            yield from inner or [given]

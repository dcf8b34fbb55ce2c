"""What is read out of a config.json, and what is refused instead of guessed."""

from __future__ import annotations

from collections import Counter

import pytest

from vllm_pkg.models.sizing.architecture import LayerKind
from vllm_pkg.models.sizing.reading import read_architecture
from vllm_pkg.models.sizing.unknown import NotKnown

LLAMA = {
    "model_type": "llama",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "dtype": "bfloat16",
}
MAMBA2 = {
    "model_type": "mamba2",
    "num_hidden_layers": 2,
    "num_heads": 16,
    "head_dim": 64,
    "expand": 2,
    "hidden_size": 512,
    "n_groups": 1,
    "state_size": 128,
    "conv_kernel": 4,
    "vocab_size": 100,
    "num_attention_heads": 0,
}
HYBRID = LLAMA | {
    "mamba_num_heads": 16,
    "mamba_head_dim": 64,
    "n_groups": 2,
    "ssm_state_size": 128,
    "conv_kernel": 4,
}
GRANITE = LLAMA | {
    "model_type": "granitemoehybrid",
    "mamba_n_heads": 16,
    "mamba_d_head": 128,
    "mamba_expand": 2,
    "mamba_n_groups": 1,
    "mamba_d_state": 64,
    "mamba_d_conv": 4,
}
DELTA = LLAMA | {
    "model_type": "qwen3_next",
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 64,
    "linear_value_head_dim": 64,
    "linear_conv_kernel_dim": 4,
}
GEMMA4 = LLAMA | {"model_type": "gemma4_text", "sliding_window": 512, "head_dim": 256}


def kinds(config):
    """Return how many layers of which kind are read."""
    return dict(Counter(layer.kind.name for layer in read_architecture(config).layers))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LLAMA, {"FULL": 12}),
        (LLAMA | {"sliding_window": 512}, {"SLIDING": 12}),
        (LLAMA | {"layer_types": ["full_attention"] * 12}, {"FULL": 12}),
        (
            LLAMA
            | {
                "layer_types": ["full_attention", "sliding_attention"] * 6,
                "sliding_window": 512,
            },
            {"FULL": 6, "SLIDING": 6},
        ),
        (LLAMA | {"model_type": "mistral"}, {"SLIDING": 12}),
        (LLAMA | {"model_type": "mistral", "sliding_window": 0}, {"FULL": 12}),
        (LLAMA | {"model_type": "qwen2", "sliding_window": 512}, {"FULL": 12}),
        (LLAMA | {"model_type": "gemma2"}, {"FULL": 6, "SLIDING": 6}),
        (
            LLAMA | {"model_type": "gemma3_text", "sliding_window": 512},
            {"FULL": 2, "SLIDING": 10},
        ),
        (LLAMA | {"model_type": "cohere2"}, {"FULL": 3, "SLIDING": 9}),
        (
            LLAMA | {"model_type": "cohere2", "layer_types": ["full_attention"] * 12},
            {"FULL": 12},
        ),
        (
            LLAMA | {"model_type": "gpt_oss", "sliding_window": 128},
            {"FULL": 6, "SLIDING": 6},
        ),
        (LLAMA | {"model_type": "llama4_text"}, {"FULL": 3, "CHUNKED": 9}),
        (
            LLAMA | {"model_type": "llama4_text", "no_rope_layers": [1] * 11 + [0]},
            {"FULL": 1, "CHUNKED": 11},
        ),
        (GEMMA4, {"FULL": 2, "SLIDING": 10}),
        (GEMMA4 | {"num_kv_shared_layers": 4}, {"FULL": 1, "SLIDING": 7}),
        (DELTA, {"FULL": 3, "RECURRENT": 9}),
        (
            HYBRID | {"model_type": "nemotron_h", "hybrid_override_pattern": "M-ME*"},
            {"RECURRENT": 2, "FULL": 1},
        ),
        (
            GRANITE | {"layer_types": ["mamba", "attention", "mamba"]},
            {"RECURRENT": 2, "FULL": 1},
        ),
        (MAMBA2, {"RECURRENT": 2}),
        (
            LLAMA | {"model_type": "mamba", "state_size": 16, "conv_kernel": 4},
            {"RECURRENT": 12},
        ),
        (LLAMA | {"model_type": "bert"}, {}),
    ],
)
def test_layers_are_read_by_kind(config, expected):
    """Each family's way to say which layer is what is understood."""
    assert kinds(config) == expected


def test_shapes_of_the_layers():
    """Heads, widths and windows are those that the engine keeps."""
    (layer, *_) = read_architecture(LLAMA).layers
    assert (layer.kv_heads, layer.head_dim) == (2, 128)
    without = {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"}
    assert read_architecture(without).layers[0].kv_heads == 8
    cohere = read_architecture(LLAMA | {"model_type": "cohere2"}).layers[0]
    assert cohere.window_tokens == 4097
    gemma = GEMMA4 | {"attention_k_eq_v": True, "num_global_key_value_heads": 1}
    wide = read_architecture(gemma).layers[5]
    assert (wide.kind, wide.kv_heads, wide.head_dim) == (LayerKind.FULL, 1, 512)
    assert read_architecture(GEMMA4).layers[-1].kv_heads == 2


def test_states_have_the_sizes_of_their_family():
    """Channels and elements of each kind of state are those of vLLM's formulas."""
    delta = read_architecture(DELTA | {"mamba_ssm_dtype": "float32"}).layers[0].state
    assert delta is not None
    assert (delta.channels, delta.steps, delta.elements) == (512, 3, 16384)
    assert (delta.heads, delta.element_bytes) == (4, 4)
    nemotron = HYBRID | {"model_type": "nemotron_h", "hybrid_override_pattern": "M"}
    state = read_architecture(nemotron).layers[0].state
    assert state is not None
    assert (state.channels, state.groups, state.group_channels) == (1024, 2, 256)
    assert (state.elements, state.element_bytes) == (131072, 4)
    granite = read_architecture(GRANITE | {"layers_block_type": ["mamba"]}).layers[0]
    assert granite.state is not None
    assert (granite.state.channels, granite.state.elements) == (2048, 131072)
    pure = read_architecture(MAMBA2).layers[0].state
    assert pure is not None
    assert (pure.channels, pure.group_channels, pure.elements) == (1024, 256, 131072)


def test_the_language_model_of_a_larger_one():
    """Of a model that sees, the nested language model counts; its type may be above."""
    nested = {k: v for k, v in LLAMA.items() if k not in {"dtype", "model_type"}}
    found = read_architecture(
        {"model_type": "llama", "torch_dtype": "float16", "text_config": nested}
    )
    assert (found.model_type, found.value_bytes) == ("llama", 2)
    assert len(found.layers) == 12


@pytest.mark.parametrize(
    ("change", "tokens"),
    [
        ({}, 4096),
        ({"max_position_embeddings": None}, None),
        ({"seq_length": 1000}, 1000),
        ({"model_max_length": 9000}, 9000),
        ({"rope_scaling": {"type": "linear", "factor": 4}}, 16384),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, 4096),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, 4096),
        ({"rope_scaling": {"type": "mrope"}}, 4096),
        (
            {
                "rope_scaling": {"type": "longrope", "factor": 32},
                "original_max_position_embeddings": 2048,
            },
            2048,
        ),
        ({"rope_scaling": {"type": "longrope"}}, 4096),
        (
            {
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 2},
                    "sliding_attention": {"rope_type": "default"},
                }
            },
            8192,
        ),
    ],
)
def test_the_context_length(change, tokens):
    """The longest sequence follows vLLM's rules for lengths and stretched positions."""
    assert read_architecture(LLAMA | change).context_tokens == tokens


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dtype": "float32"}, 2),
        ({"dtype": "torch.float16"}, 2),
        ({"dtype": None}, None),
        ({"dtype": "float8_e4m3fn"}, 2),
    ],
)
def test_the_type_that_the_model_runs_in(change, expected):
    """Models are served in 16 bits; a config that does not say a type gives none."""
    assert read_architecture(LLAMA | change).value_bytes == expected


@pytest.mark.parametrize(
    ("key", "value", "name", "cache"),
    [
        ("quantization_config", {"quant_method": "awq"}, "awq", None),
        ("quantization_config", {}, "unnamed", None),
        (
            "compression_config",
            {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8}},
            "compressed-tensors",
            1,
        ),
        (
            "quantization_config",
            {"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"},
            "modelopt",
            1,
        ),
        (
            "quantization_config",
            {"quantization": {"kv_cache_quant_algo": "FP8"}},
            "unnamed",
            1,
        ),
        ("quantization_config", {"quantization": {}}, "unnamed", None),
    ],
)
def test_compression_is_seen(key, value, name, cache):
    """How weights are stored, and what the checkpoint asks of the cache, are read."""
    found = read_architecture(LLAMA | {key: value})
    assert (found.quantization, found.cache_value_bytes) == (name, cache)


@pytest.mark.parametrize(
    ("change", "width"),
    [
        ({}, 4096),
        ({"num_experts_per_tok": 2}, 8192),
        ({"num_experts_per_tok": 8, "moe_intermediate_size": 768}, 6144),
        (
            {
                "num_experts_per_tok": 8,
                "moe_intermediate_size": 768,
                "shared_expert_intermediate_size": 512,
            },
            6656,
        ),
    ],
)
def test_the_widest_feed_forward_layer(change, width):
    """With experts, all that one token uses count together."""
    assert read_architecture(LLAMA | change).mlp_width == width


@pytest.mark.parametrize(
    ("config", "is_tied"),
    [
        (LLAMA, False),
        (LLAMA | {"tie_word_embeddings": True}, True),
        (LLAMA | {"model_type": "gemma"}, True),
        (LLAMA | {"model_type": "gemma", "tie_word_embeddings": False}, False),
    ],
)
def test_tied_embeddings(config, is_tied):
    """What the config says about the output layer counts before its family's habit."""
    assert read_architecture(config).is_tied is is_tied


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "no model_type"),
        (LLAMA | {"model_type": "brand_new"}, "type 'brand_new' are not known"),
        (LLAMA | {"hidden_size": None}, "nothing about hidden_size"),
        (LLAMA | {"hidden_size": "1024"}, "'1024' at hidden_size"),
        (LLAMA | {"hidden_size": True}, "True at hidden_size"),
        (LLAMA | {"vocab_size": -1}, "-1 at vocab_size"),
        (LLAMA | {"layer_types": "full"}, "no list of names at layer_types"),
        (LLAMA | {"layer_types": [1]}, "no list of names at layer_types"),
        (LLAMA | {"layer_types": ["full_attention"]}, "do not agree"),
        (LLAMA | {"layer_types": ["new"] * 12}, "kind 'new'"),
        (
            LLAMA | {"layer_types": ["sliding_attention"] * 12},
            "without sliding_window",
        ),
        (LLAMA | {"model_type": "qwen2", "use_sliding_window": True}, "in the middle"),
        (LLAMA | {"model_type": "gpt_oss"}, "nothing about sliding_window"),
        (LLAMA | {"model_type": "llama4_text", "no_rope_layers": [1]}, "do not agree"),
        (LLAMA | {"model_type": "deepseek_v3"}, "nothing about kv_lora_rank"),
        (HYBRID | {"model_type": "nemotron_h"}, "no hybrid_override_pattern"),
        (
            HYBRID | {"model_type": "nemotron_h", "hybrid_override_pattern": "X"},
            "no hybrid_override_pattern",
        ),
        (GRANITE, "does not say which layers"),
        (GRANITE | {"layer_types": ["conv"]}, "kind 'conv'"),
        (DELTA | {"mamba_ssm_dtype": "float64"}, "'float64' at mamba_ssm_dtype"),
        (
            LLAMA | {"quantization_config": {"kv_cache_scheme": {"num_bits": 4}}},
            "a KV cache in another size",
        ),
        (
            LLAMA | {"quantization_config": {"kv_cache_quant_algo": "NVFP4"}},
            "a KV cache in NVFP4",
        ),
    ],
)
def test_what_is_not_known_is_said(config, words):
    """Nothing is guessed: what is missing or new is named."""
    with pytest.raises(NotKnown, match=words):
        read_architecture(config)


@pytest.mark.parametrize(
    ("config", "cards", "expected"),
    [
        (LLAMA, 2, True),
        (LLAMA, 8, True),
        (LLAMA, 3, False),
        (LLAMA | {"num_key_value_heads": 6, "num_attention_heads": 12}, 4, False),
        (DELTA, 8, False),
        (LLAMA | {"model_type": "bert"}, 4, True),
    ],
)
def test_which_numbers_of_cards_can_share_it(config, cards, expected):
    """Query heads and states must be divided; key-value heads may be copied evenly."""
    assert read_architecture(config).splits_over(cards) is expected

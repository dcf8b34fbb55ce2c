"""
Write tiny models with random weights, load each into vLLM, and print what it allocated.

Usage: ``python -m support.engine_sizes FOLDER MODEL...``. One process serves them all:
starting an engine per model would take ten times as long. The last lines are one JSON
object per model, behind `MARK`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

MARK = "SIZES "
CONTEXT_TOKENS = 2048
SEQUENCES = 16
CACHE_GIB = 1
_BASE: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 4096,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
_EXPERTS: dict[str, Any] = {
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 128,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"num_hidden_layers": 2},
    "qwen3": {"num_hidden_layers": 3, "tie_word_embeddings": True},
    "qwen3_moe": {"num_hidden_layers": 2, "num_experts": 8, **_EXPERTS},
    "gemma3_text": {
        "num_hidden_layers": 8,
        "sliding_window": 512,
        "query_pre_attn_scalar": 64,
        "tie_word_embeddings": True,
    },
    "qwen3_next": {
        "num_hidden_layers": 8,
        "num_experts": 4,
        "shared_expert_intermediate_size": 128,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 64,
        "linear_value_head_dim": 64,
        "linear_conv_kernel_dim": 4,
        **_EXPERTS,
    },
    "deepseek_v2": {
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
        "kv_lora_rank": 512,
        "q_lora_rank": None,
        "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 128,
        "v_head_dim": 128,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    },
}
_loaded_bytes: list[int] = []


def main() -> None:
    """Write and measure the models named on the command line."""
    _prepare()
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        _write(folder / name, name)
        print(MARK + json.dumps({"model": name, **_measure(folder / name)}), flush=True)


def _prepare() -> None:
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GIB),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    from vllm.model_executor.model_loader import base_loader
    from vllm.model_executor.models import registry

    # Looking at a model's class in a process of its own takes ten seconds each.
    registry._run_in_subprocess = lambda look: look()
    process = base_loader.process_weights_after_loading

    def note_and_process(model: Any, *arguments: Any) -> None:
        # The CPU engine then packs its matrices into objects that have no size to ask.
        _loaded_bytes.append(
            sum(one.numel() * one.element_size() for one in model.parameters())
        )
        process(model, *arguments)

    base_loader.process_weights_after_loading = note_and_process


def _write(folder: Path, name: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(name, **(_BASE | MODELS[name]))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)


def _measure(folder: Path) -> dict[str, Any]:
    """Load a model and return its weights, blocks and tokens of the cache."""
    from vllm import LLM
    from vllm.distributed import cleanup_dist_env_and_memory

    engine = LLM(
        str(folder),
        skip_tokenizer_init=True,
        enforce_eager=True,
        max_model_len=CONTEXT_TOKENS,
        max_num_batched_tokens=CONTEXT_TOKENS,
        max_num_seqs=SEQUENCES,
    )
    core = engine.llm_engine.engine_core.engine_core
    cache = core.scheduler.kv_cache_config
    sizes = {
        "weights_bytes": _loaded_bytes.pop(),
        "blocks": cache.num_blocks,
        "block_bytes": cache.kv_cache_tensors[0].size // cache.num_blocks,
        "groups": len(cache.kv_cache_groups),
        "tokens": engine.llm_engine.vllm_config.cache_config.kv_cache_size_tokens,
    }
    core.shutdown()
    del engine, core
    cleanup_dist_env_and_memory()
    return sizes


if __name__ == "__main__":
    main()

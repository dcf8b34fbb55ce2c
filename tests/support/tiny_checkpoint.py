"""A model's folder with a config and weights whose sizes are known."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "dtype": "bfloat16",
}
# Numbers in each shard.
SHARDS = {
    "model-00001-of-00002.safetensors": {"model.embed_tokens.weight": (1000, 256)},
    "model-00002-of-00002.safetensors": {"lm_head.weight": (1000, 256)},
}
WEIGHTS_BYTES = 2 * 1000 * 256 * 2


def strange_weights() -> bytes:
    """Return weights that are whole, and of no model that we have."""
    return safetensors({"of.another.model": (2, 1)})


def write_checkpoint(folder: Path, config: dict[str, Any] | None = None) -> Path:
    """Write a checkpoint of two shards with an index, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or CONFIG))
    weight_map: dict[str, str] = {}
    for name, tensors in SHARDS.items():
        (folder / name).write_bytes(safetensors(tensors))
        weight_map |= dict.fromkeys(tensors, name)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def safetensors(tensors: Mapping[str, tuple[int, int]]) -> bytes:
    """Return a safetensors file of zeros in bfloat16."""
    header: dict[str, Any] = {}
    position = 0
    for name, (rows, columns) in tensors.items():
        end = position + rows * columns * 2
        header[name] = {
            "dtype": "BF16",
            "shape": [rows, columns],
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(position)

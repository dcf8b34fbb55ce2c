"""Models and machines for tests of estimates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vllm_pkg.hardware.facts import Gpu, Hardware, Tier, Vendor
from vllm_pkg.models.sizing.architecture import Architecture, Layer, LayerKind, State
from vllm_pkg.models.sizing.machine import GIB, Card, Machine

CONFIGS = Path(__file__).parents[1] / "data" / "model-configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.json"))


def published(name: str) -> dict[str, Any]:
    """Return what is published about a model."""
    document = json.loads((CONFIGS / f"{name}.json").read_text())
    return dict(document)


def gpu_machine(*sizes_gib: float, free_gib: float | None = None) -> Machine:
    """Return a machine of GPUs, all of whose memory is free unless said."""
    cards = tuple(
        Card(round(size * GIB), round((size if free_gib is None else free_gib) * GIB))
        for size in sizes_gib
    )
    return Machine(
        cards, is_cpu=False, has_fp8_cache=True, name="A GPU", is_free_known=True
    )


def cpu_machine(total_gib: float = 24, free_gib: float = 20) -> Machine:
    """Return a machine without a GPU."""
    card = Card(round(total_gib * GIB), round(free_gib * GIB))
    return Machine(
        (card,), is_cpu=True, has_fp8_cache=False, name="main", is_free_known=True
    )


def gpu_hardware(*sizes_gib: float, capability: str = "8.9", **more: Any) -> Hardware:
    """Return a machine with NVIDIA GPUs as it is detected."""
    gpus = tuple(
        Gpu(Vendor.NVIDIA, index, "A GPU", capability, size, more.get("free_gib"))
        for index, size in enumerate(sizes_gib)
    )
    return Hardware(Tier.NVIDIA_OLDER, sum(sizes_gib), 64.0, gpus, "test", ())


def cpu_hardware(total_gib: float = 24.0, free_gib: float | None = 20.0) -> Hardware:
    """Return a machine without a GPU as it is detected."""
    return Hardware(
        Tier.CPU, total_gib, total_gib, (), "test", (), system_free_gib=free_gib
    )


def architecture(*layers: Layer, **more: Any) -> Architecture:
    """Return a small model with the given layers."""
    values: dict[str, Any] = {
        "model_type": "llama",
        "layers": layers,
        "hidden_layers": len(layers),
        "hidden_size": 1024,
        "attention_heads": 8,
        "vocabulary": 32000,
        "mlp_width": 4096,
        "context_tokens": 32768,
        "value_bytes": 2,
    }
    return Architecture(**(values | more))


FULL = Layer(LayerKind.FULL, kv_heads=8, head_dim=128)
SLIDING = Layer(LayerKind.SLIDING, kv_heads=8, head_dim=128, window_tokens=1024)
CHUNKED = Layer(LayerKind.CHUNKED, kv_heads=8, head_dim=128, window_tokens=8192)
LATENT = Layer(LayerKind.MLA, kv_heads=1, head_dim=576)
STATE = Layer(
    LayerKind.RECURRENT,
    state=State(
        channels=8192, groups=0, group_channels=0, steps=3, elements=524288, heads=32
    ),
)

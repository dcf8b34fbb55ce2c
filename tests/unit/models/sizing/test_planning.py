"""How the KV cache is laid out depends on what computes attention."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.sizing_cases import FULL, LATENT, architecture, cpu_machine
from vllm_pkg.models.sizing.arguments import ServeArguments
from vllm_pkg.models.sizing.planning import plan_for

ARGUMENTS = ServeArguments(context_tokens=512, batched_tokens=512, sequences=1)


@pytest.mark.parametrize(
    ("layer", "has_amx", "block_tokens"),
    [(LATENT, False, 16), (LATENT, True, 128), (FULL, False, 128), (FULL, True, 128)],
)
def test_blocks_on_a_cpu(layer, has_amx, block_tokens):
    """Latent attention has small blocks, unless AMX computes it."""
    machine = replace(cpu_machine(), has_amx=has_amx)
    plan = plan_for(architecture(layer), ARGUMENTS, machine, 512)

    assert plan.block_bytes == pytest.approx(block_tokens * plan.token_bytes)

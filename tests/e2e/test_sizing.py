"""
Estimates against the real engine: weights and KV cache of tiny models on the CPU.

One program loads them all, one after the other; the figures are those of vLLM 0.32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from support.engine_sizes import CACHE_GIB, CONTEXT_TOKENS, MARK, MODELS, SEQUENCES
from support.settings_factory import make_settings
from support.sizing_cases import cpu_machine
from support.tools import require
from vllm_pkg.hardware.cpu import has_amx
from vllm_pkg.hardware.probe import ROOT
from vllm_pkg.models.sizing.arguments import ServeArguments
from vllm_pkg.models.sizing.local_source import read_local
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.planning import plan_for
from vllm_pkg.models.sizing.reading import read_architecture
from vllm_pkg.models.sizing.weights import Loading, loaded_bytes

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

ARGUMENTS = ServeArguments(
    context_tokens=CONTEXT_TOKENS, batched_tokens=CONTEXT_TOKENS, sequences=SEQUENCES
)
# Bytes of the cache per token and layer, written out: 2 x 2 heads x 64 x 2 bytes, and
# (512 + 64) x 2 of latent attention.
TOKEN_BYTES = {
    "llama": 2 * 512,
    "qwen3": 3 * 512,
    "qwen3_moe": 2 * 512,
    "gemma3_text": 1 * 512,
    "qwen3_next": 2 * 512,
    "deepseek_v2": 2 * 1152,
}


@pytest.fixture(name="measured", scope="module")
def measured_fixture(tmp_path_factory):
    """What vLLM allocated for each model, and the folder that they are in."""
    require(find_spec("vllm"), "vLLM is not installed")
    folder = tmp_path_factory.mktemp("sizing")
    done = subprocess.run(
        [sys.executable, "-m", "support.engine_sizes", str(folder), *MODELS],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [
        json.loads(line.removeprefix(MARK))
        for line in done.stdout.splitlines()
        if line.startswith(MARK)
    ]
    return folder, {line["model"]: line for line in lines}


def read(measured, name):
    """Return what is known of a model's files, and its shape."""
    folder, _ = measured
    checkpoint = read_local(make_settings(folder), str(folder / name))
    assert checkpoint is not None
    return checkpoint, read_architecture(checkpoint.config)


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_predicted_within_two_percent(measured, name):
    """What the checkpoint's headers say is what vLLM has in memory once loaded."""
    checkpoint, architecture = read(measured, name)
    assert checkpoint.tensors is not None
    predicted = loaded_bytes(checkpoint.tensors, architecture, Loading(2))
    assert predicted == pytest.approx(measured[1][name]["weights_bytes"], rel=0.02)


@pytest.mark.parametrize("name", MODELS)
def test_the_kv_cache_is_predicted_exactly(measured, name):
    """Bytes per block, blocks, groups and the tokens that vLLM logs are all exact."""
    _, architecture = read(measured, name)
    machine = replace(cpu_machine(), has_amx=has_amx(ROOT))
    plan = plan_for(architecture, ARGUMENTS, machine, CONTEXT_TOKENS)
    memory_bytes = CACHE_GIB * GIB
    assert measured[1][name] | {"weights_bytes": 0} == {
        "model": name,
        "weights_bytes": 0,
        "blocks": memory_bytes // plan.block_bytes,
        "block_bytes": plan.block_bytes,
        "groups": len(plan.groups),
        "tokens": plan.capacity_tokens(memory_bytes, CONTEXT_TOKENS),
    }
    assert plan.token_bytes == TOKEN_BYTES[name]

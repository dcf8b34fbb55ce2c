"""
vLLM really started wrongly: each failure is named, with the change that helps.

One process imports vLLM and forks for every start, see `support.failing_starts`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.failing_starts import StartCase, as_input
from support.hub_server import HubServer
from support.service import free_port
from support.tools import require
from vllm_pkg.engine.diagnosis.changes import describe_changes
from vllm_pkg.engine.diagnosis.matcher import READY_MARK
from vllm_pkg.engine.exit_report import report_exit
from vllm_pkg.models.tiny import tiny_files

pytestmark = [pytest.mark.engine, pytest.mark.timeout(420)]

CACHE = "VLLM_CPU_KVCACHE_SPACE"
BUSY = "the port that is in use"
SMALL = ("--kv-cache-memory-bytes", "1048576")
TOOLS = "--enable-auto-tool-choice"
# vLLM once supported it.
DROPPED = "Phi3SmallForCausalLM"
GUESSING = '{"method": "ngram"}'

# Per start: the model, the arguments, the cause, the change in words.
EXPECTED = {
    "context-beyond-model": (
        ("tiny", "--max-model-len", "999999"),
        "context-exceeds-model",
        "set --max-model-len to 2048",
    ),
    "context-beyond-memory": (
        ("tiny", *SMALL),
        "context-exceeds-memory",
        "set --max-model-len to 768",
    ),
    "cache-beyond-memory": (("tiny",), "cpu-cache-too-large", None),
    "no-memory-left": (
        ("tiny", "--kv-cache-memory-bytes", "1"),
        "memory-used-up-by-weights",
        "",
    ),
    "port": (("tiny", "--port", BUSY), "port-in-use", ""),
    "architecture": (("no-architecture",), "architecture-unknown", ""),
    "old-architecture": (("old-architecture",), "architecture-dropped", ""),
    "model-type": (("no-type",), "model-type-unknown", ""),
    "own-code": (("own-code",), "remote-code-needed", ""),
    "no-config": (("empty",), "config-missing", ""),
    "no-folder": (("missing",), "model-name-invalid", ""),
    "bad-config": (("bad-config",), "config-damaged", ""),
    "no-tokenizer": (("no-tokenizer",), "tokenizer-missing", ""),
    "no-weights": (("no-weights",), "weights-missing", ""),
    "cut-weights": (("cut-weights",), "weights-damaged", ""),
    "other-weights": (("other-weights",), "weights-do-not-match", ""),
    "tool-parser": (
        ("tiny", TOOLS, "--tool-call-parser", "nope"),
        "tool-parser-unknown",
        f"remove --tool-call-parser and remove {TOOLS}",
    ),
    "no-tool-parser": (("tiny", TOOLS), "tool-parser-not-given", f"remove {TOOLS}"),
    "reasoning-parser": (
        ("tiny", "--reasoning-parser", "nope"),
        "reasoning-parser-unknown",
        "remove --reasoning-parser",
    ),
    "chat-template": (
        ("tiny", "--chat-template", "/no/such/template.jinja"),
        "chat-template-missing",
        "remove --chat-template",
    ),
    "quantization": (
        ("tiny", "--quantization", "nope"),
        "quantization-unknown",
        "remove --quantization",
    ),
    "not-quantized": (
        ("tiny", "--quantization", "awq"),
        "quantization-not-in-model",
        "remove --quantization",
    ),
    "load-format": (
        ("tiny", "--load-format", "nope"),
        "load-format-unknown",
        "remove --load-format",
    ),
    "no-module": (
        ("tiny", "--load-format", "runai_streamer"),
        "module-missing",
        "",
    ),
    "heads": (
        ("tiny", "-tp", "3"),
        "heads-not-divisible",
        "set --tensor-parallel-size to 2",
    ),
    "batch": (
        ("tiny", "--max-num-batched-tokens", "1", "--max-num-seqs", "8"),
        "batch-smaller-than-requests",
        "remove --max-num-batched-tokens",
    ),
    "sleep-mode": (
        ("tiny", "--enable-sleep-mode"),
        "sleep-mode-not-here",
        "remove --enable-sleep-mode",
    ),
    "attention": (
        ("tiny", "--attention-backend", "NOPE"),
        "attention-backend-unusable",
        "remove --attention-backend",
    ),
    "guessing": (
        ("tiny", "--speculative-config", GUESSING),
        "speculation-incomplete",
        "remove --speculative-config",
    ),
    "runner": (
        ("bert", "--runner", "generate"),
        "task-not-supported",
        "remove --runner",
    ),
    "adapter": (
        ("tiny", "--enable-lora", "--lora-modules", "a=/no/such/adapter"),
        "adapter-missing",
        "",
    ),
    "value": (("tiny", "--dtype", "nope"), "argument-invalid", ""),
    "option": (("tiny", "--no-such-option"), "argument-unknown", ""),
    "range": (("tiny", "--gpu-memory-utilization", "7"), "setting-out-of-range", ""),
    "port-variable": (("tiny",), "port-variable-misread", ""),
    "offline": (("test-org/elsewhere",), "model-not-downloaded", ""),
    "no-repository": (("test-org/none",), "model-not-found", ""),
    "gated": (("test-org/gated",), "model-gated", ""),
    "no-revision": (
        ("test-org/open", "--revision", "nope"),
        "revision-not-found",
        "remove --revision",
    ),
    "killed": (("tiny",), "process-killed", ""),
    "mended": (("tiny", *SMALL, "--max-model-len", "768"), None, None),
}
USAGE_ERRORS = {"value": 2, "option": 2}
MORE: dict[str, dict[str, Any]] = {
    "cache-beyond-memory": {"environment": {CACHE: "100000"}},
    "port-variable": {"environment": {"VLLM_PORT": "tcp://10.0.0.1:80"}},
    "no-repository": {"is_offline": False},
    "gated": {"is_offline": False},
    "no-revision": {"is_offline": False},
    "killed": {"awaited": "Starting to load model", "killed": "EngineCore"},
    "mended": {"awaited": READY_MARK},
}
# With this variable set, vLLM does not heed --kv-cache-memory-bytes.
SIZED = {"context-beyond-memory", "no-memory-left", "mended"}


def _write_model(folder: Path, dropped=(), config=None, **contents: bytes) -> None:
    files = tiny_files()
    if config is not None:
        changed = json.loads(files["config.json"]) | config
        files["config.json"] = json.dumps(changed).encode()
    named = {name.replace("__", "."): content for name, content in contents.items()}
    folder.mkdir()
    for name, content in (files | named).items():
        if name not in dropped:
            (folder / name).write_bytes(content)


def _write_models(root: Path) -> None:
    root.mkdir()
    weights = tiny_files()["model.safetensors"]
    own_code = {"auto_map": {"AutoConfig": "configuration_x.X"}, "model_type": "x"}
    bert = {"architectures": ["BertModel"], "model_type": "bert"}
    (root / "empty").mkdir()
    _write_model(root / "tiny")
    _write_model(root / "no-architecture", config={"architectures": ["MadeUpLM"]})
    _write_model(root / "old-architecture", config={"architectures": [DROPPED]})
    _write_model(root / "no-type", config={"model_type": "made-up"})
    _write_model(root / "own-code", config=own_code)
    _write_model(root / "bert", config=bert)
    _write_model(root / "bad-config", config__json=b'{"a": ')
    _write_model(root / "no-tokenizer", ("tokenizer.json", "tokenizer_config.json"))
    _write_model(root / "no-weights", ("model.safetensors",))
    _write_model(root / "cut-weights", model__safetensors=weights[: len(weights) // 2])
    _write_model(root / "other-weights", config={"intermediate_size": 1024})


def _case(name: str, root: Path, busy_port: int) -> StartCase:
    model, *arguments = EXPECTED[name][0]
    source = model if "/" in model else str(root / model)
    if BUSY in arguments:
        arguments[arguments.index(BUSY)] = str(busy_port)
    else:
        port = free_port()
        arguments += ["--port", str(port)]
    arguments += ["--host", "127.0.0.1", "--enforce-eager"]
    case = StartCase(name, (source, *arguments), {} if name in SIZED else {CACHE: "1"})
    more = dict(MORE.get(name, {}))
    if name == "mended":
        # A signal between the last line of its log and the first answer ends it with 1.
        more["answers"] = f"http://127.0.0.1:{port}/health"
    environment = case.environment | more.pop("environment", {})
    return replace(case, environment=environment, **more)


@pytest.fixture(name="starts", scope="module")
def starts_fixture(tmp_path_factory):
    """Exit status and log of every start."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    folder = tmp_path_factory.mktemp("starts")
    models, logs = folder / "models", folder / "logs"
    logs.mkdir()
    _write_models(models)
    with HubServer() as hub, socket.create_server(("127.0.0.1", 0)) as busy:
        hub.add("test-org/gated", models / "tiny", is_gated=True)
        hub.add("test-org/open", models / "tiny")
        cases = [_case(name, models, busy.getsockname()[1]) for name in EXPECTED]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hf"),
            "VLLM_CACHE_ROOT": str(folder / "cache"),
            "VLLM_NO_USAGE_STATS": "1",
        }
        done = subprocess.run(
            [sys.executable, "-m", "support.failing_starts", str(logs)],
            env=environment,
            input=as_input(cases),
            capture_output=True,
            text=True,
            timeout=400,
            check=True,
        )
    statuses = json.loads(done.stdout.splitlines()[-1])
    (folder / "statuses.json").write_text(json.dumps(statuses))
    return {
        name: (status, (logs / f"{name}.log").read_text(errors="replace").splitlines())
        for name, (status, _) in statuses.items()
    }


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "mended"])
def test_the_cause_of_a_real_failure_is_named(starts, name):
    """The report names the cause, and proposes exactly the change that helps."""
    status, lines = starts[name]
    _, cause, change = EXPECTED[name]

    report = report_exit(status, lines)

    assert report.cause == cause, "\n".join(lines[-40:])
    assert report.explanation
    assert report.explanation in report.summary
    assert change is None or describe_changes(report.changes) == change
    assert status == USAGE_ERRORS.get(name, 1)


def test_half_of_the_free_memory_is_proposed(starts):
    """For a cache larger than the memory the change depends on what is free."""
    (change,) = report_exit(*starts["cache-beyond-memory"]).changes

    assert change.name == CACHE
    assert 1 <= int(change.value or 0) < 100000


def test_the_proposed_context_starts(starts):
    """With the change made the engine gets ready, and its log names no cause."""
    status, lines = starts["mended"]

    ready = next(i for i, line in enumerate(lines) if READY_MARK in line)

    assert status == 0
    assert report_exit(1, lines[:ready]).cause is None
    assert report_exit(status, lines).cause is None


def test_the_first_cause_wins_over_the_generic_end(starts):
    """What vLLM says last is the same for all; the cause stands far above it."""
    _, lines = starts["cut-weights"]
    text = "\n".join(lines)

    assert text.index("SafetensorError") < text.index("Engine core initialization")
    report = report_exit(1, lines)
    assert "SafetensorError" in (report.evidence or "")
    assert "Engine core initialization failed" not in report.summary

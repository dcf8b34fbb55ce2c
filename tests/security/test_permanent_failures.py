"""
T13: failures that no other start would cure, each met by the real programs.

The daemon, huggingface_hub and vLLM are real; the Hub is a server on loopback that says
what the Hub says. Each failure is told once, with its cause, and tried once.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from support.hub_server import HubServer
from support.service import Service, free_port
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.engine.exit_report import START_MARK

pytestmark = [pytest.mark.engine, pytest.mark.security, pytest.mark.timeout(300)]

GATED = "test-org/gated-llama"
MISSING = "test-org/no-such-llama"
TOKEN = "of-nobody"  # noqa: S105  # of an account of that Hub
PROMISE = "A start that can only fail is tried once, and its cause is told"


@pytest.fixture(name="hub", scope="module")
def hub_fixture(tmp_path_factory):
    """A Hub with one repository, whose licence nobody has accepted."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    # Its header, of two bytes, names no tensor.
    (folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    with HubServer() as hub:
        hub.add(GATED, folder, is_gated=True)
        hub.add_token(TOKEN, "somebody")
        yield hub


@pytest.fixture(name="service")
def service_fixture(tmp_path, hub, monkeypatch):
    """A service that is told of that Hub by its own environment."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    # A token of whoever runs the tests is none of theirs.
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    service = Service(tmp_path, free_port())
    yield service
    service.close()


def _fail(service, arguments, **variables):
    """Let the service serve this; return the record of its failure and the starts."""
    env = [{"name": name, "value": value} for name, value in variables.items()]
    value = {"args": shlex.join(arguments), "env": env}
    document = {"config": {"selection": "custom", "value": value}}
    service.json("action", "run", "set-model", "--input", json.dumps(document))
    service.start()
    file = service.main / "run" / "last-failure.json"

    def final():
        record = json.loads(file.read_text()) if file.exists() else {}
        return record if record.get("is_final") else None

    record = wait_until(final, 200, "the end of all tries")
    health = service.wait_result("failure")
    assert record["summary"] in health["message"]
    assert service.interrupt() == 0
    log = (service.main / "logs" / "engine.log").read_text(errors="replace")
    return record, log.count(START_MARK)


def _tell(guarantee, record, starts, words, what):
    told = f"{record['summary']} {record['hint']}".lower()
    silent = [word for word in words if word not in told]
    guarantee(
        "T13",
        PROMISE,
        tried=1,
        violations=int(starts != 1) + len(silent),
        unit=what,
        control="an engine that ends with 1 for no known cause is started again",
    )
    assert starts == 1
    assert silent == []
    assert "not started again" in told


def test_t13_a_gated_model_is_asked_for_once(service, hub, guarantee):
    """T13: the Hub's 401 for a licence that was not accepted is final, and named."""
    record, starts = _fail(service, [GATED])

    _tell(guarantee, record, starts, [GATED, "token"], "gated repositories (401)")
    assert 401 in {one.status for one in hub.requests if GATED in one.path}


def test_t13_a_missing_model_is_asked_for_once(service, hub, monkeypatch, guarantee):
    """T13: the Hub's 404, told to whoever has a token, is final, and named."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    record, starts = _fail(service, [MISSING])

    _tell(guarantee, record, starts, [MISSING], "missing repositories (404)")
    assert 404 in {one.status for one in hub.requests if MISSING in one.path}


def test_t13_a_model_that_needs_more_memory_than_there_is(service, guarantee):
    """T13: vLLM itself runs out of memory while it loads: final, and named."""
    tiny = {"config": {"selection": "tiny", "value": {}}}
    service.json("action", "run", "set-model", "--input", json.dumps(tiny))
    arguments = json.loads((service.main / "store.json").read_text())["serveArgs"]
    record, starts = _fail(
        service, _without_cache_size(arguments), VLLM_CPU_KVCACHE_SPACE="100000"
    )

    words = ["gib", "vllm_cpu_kvcache_space"]
    _tell(guarantee, record, starts, words, "real engines without memory")


def _without_cache_size(arguments):
    kept = []
    skip = False
    for argument in arguments:
        if not skip and not argument.startswith("--kv-cache-memory-bytes"):
            kept.append(argument)
        skip = argument == "--kv-cache-memory-bytes"
    return kept

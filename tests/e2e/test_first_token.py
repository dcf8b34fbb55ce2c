"""
From an empty cache to a token: download, kill, resume, serve, and two switches.

The program, supervisord, huggingface_hub and vLLM are real; the Hub is a server on
loopback. The tests are steps of one story and run in order.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

import openai
import pytest

from support import hub_faults
from support.hub_server import HubServer
from support.service import Service, free_port
from support.tiny_checkpoint import strange_weights
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.engine.phases import Phase
from vllm_pkg.models.download.layout import RepositoryFolder, size_of
from vllm_pkg.models.sizing.learned import read_starts
from vllm_pkg.models.tiny import tiny_files
from vllm_pkg.settings import load_settings
from vllm_pkg.state import records

pytestmark = [pytest.mark.engine, pytest.mark.timeout(420)]

WEIGHTS = "model.safetensors"
CHUNK_BYTES = 64 * 1024
SPEED_BYTES_PER_S = 400_000
FIRST, BROKEN, SECOND = "org/first", "org/broken", "org/second"
PHASES = [phase.value for phase in Phase]
OPTIONS = "--max-model-len 512 --enforce-eager --kv-cache-memory-bytes 64M"


def size_of_weights():
    """Return how large the weights are."""
    return len(tiny_files()[WEIGHTS])


def write_repository(folder, *, is_broken=False):
    """Write the tiny model; broken weights name a tensor that is not there."""
    folder.mkdir()
    for name, data in tiny_files().items():
        (folder / name).write_bytes(data)
    if is_broken:
        (folder / WEIGHTS).write_bytes(strange_weights())
    return folder


@pytest.fixture(name="hub", scope="module")
def hub_fixture(tmp_path_factory):
    """A Hub with two models that work and one that does not."""
    folder = tmp_path_factory.mktemp("repositories")
    with HubServer() as hub:
        hub.add(FIRST, write_repository(folder / "first"))
        hub.add(BROKEN, write_repository(folder / "broken", is_broken=True))
        hub.add(SECOND, write_repository(folder / "second"))
        yield hub


@pytest.fixture(name="service", scope="module")
def service_fixture(tmp_path_factory, hub):
    """A service with an empty cache that asks that Hub."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HOME", str(folder / "hf"))
        service = Service(folder, free_port())
        yield service
        service.close()


def select(service, repository):
    """Select a repository with Set Model; return the action's result."""
    value = {"args": f"{repository} {OPTIONS}", "env": []}
    document = {"config": {"selection": "custom", "value": value}}
    return service.json("action", "run", "set-model", "--input", json.dumps(document))


def start_of(service):
    """Return how far the start is, as `status` tells it."""
    return service.json("status", "--json")["start"] or {}


def flowing(service, hub):
    """Return the fault that lets the weights come slowly, never all of them."""
    file = hub.repositories[FIRST].files("main")[WEIGHTS]
    partial = RepositoryFolder(service.main / "models", FIRST).partial(file.etag)
    return hub_faults.held(
        *(SPEED_BYTES_PER_S, 2_000_000, CHUNK_BYTES), lambda: size_of(partial) or 0
    )


def chat(service, model):
    """Return the text of a short answer, streamed."""
    with openai.OpenAI(
        base_url=service.base_url, api_key=service.key(), max_retries=0
    ) as client:
        chunks = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=8,
            stream=True,
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_the_download_is_told_while_it_goes_on(service, hub):
    """From an empty cache: phase, bytes and time left, in status and in both checks."""
    select(service, FIRST)
    # The action does not wait for a Hub or a machine that is slow; this does.
    answer = service.json("model", "fit", FIRST, "--json", "--", *OPTIONS.split())
    assert f"{FIRST} runs here." in answer["message"]
    # The head of the weights was looked at for that answer, which is no download.
    hub.sent_bytes.clear()
    hub.fail(FIRST, WEIGHTS, flowing(service, hub))
    service.start()

    def moving():
        start = start_of(service)
        done = start.get("bytesDone") or 0
        return start if start.get("phase") == "download" and done > 200_000 else None

    start = wait_until(moving, 60, "a download that moves")

    assert start["repository"] == FIRST
    assert start["bytesDone"] < start["bytesTotal"]
    assert start["bytesTotal"] >= size_of_weights()
    assert service.health()["result"] == "loading"
    assert FIRST in service.health()["message"]
    told = service.command("health", "--check", "download", "--json")
    assert json.loads(told.stdout)["result"] == "loading"


def test_a_kill_in_the_middle_keeps_what_has_come(service):
    """After kill -9 of the whole service the part of the file is still there."""
    assert service.process is not None
    service.process.send_signal(signal.SIGKILL)
    service.process.wait(30)
    service.process = None
    wait_until(lambda: service.leftovers() == [], 30, "the end of all processes")

    parts = list((service.main / "models").rglob("*.incomplete"))

    assert [part.stat().st_size > 100_000 for part in parts] == [True]


def test_the_next_start_goes_on_and_becomes_ready(service, hub):
    """No byte but those of one chunk is fetched twice; the phases advance to ready."""
    hub.fail(FIRST, WEIGHTS)
    service.start()
    phases: list[str] = []

    def ready():
        phase = start_of(service).get("phase")
        if phase is not None and phases[-1:] != [phase]:
            phases.append(phase)
        return phase == "ready"

    wait_until(ready, 240, "readiness")
    service.wait_result("success")

    assert hub.sent_bytes[FIRST, WEIGHTS] <= size_of_weights() + CHUNK_BYTES
    assert phases == sorted(phases, key=PHASES.index)
    # One that is short may have been over between two looks.
    start = records.read_start(load_settings(service.environment))
    assert start is not None
    finished = [name for name, _ in start.phases]
    assert finished == sorted(finished, key=PHASES.index)
    assert {"download", "load"} <= set(finished)
    assert chat(service, FIRST)


def test_the_estimate_is_kept_beside_what_vllm_logged(service):
    """The KV cache that the start got is compared with the predicted one."""
    settings = load_settings(service.environment)
    (start,) = wait_until(lambda: read_starts(settings), 30, "the comparison").values()

    assert start.measured.kv_cache_tokens is not None
    assert start.predicted.kv_cache_tokens == pytest.approx(
        start.measured.kv_cache_tokens, rel=0.02
    )
    assert service.json("model", "fit", FIRST, "--json")["verdict"] == "runs"


def test_a_broken_model_leaves_the_old_one_serving(service):
    """It is fetched and tried; what it fails with is told, and the old one is back."""
    assert select(service, BROKEN)["title"] == "Switch Begun"

    switch = service.wait_switch()

    assert switch["phase"] == "returned"
    assert switch["reason"]
    assert service.health()["result"] == "success"
    assert chat(service, FIRST)


def test_a_good_model_takes_its_place(service, hub):
    """The old model answers while the new one is fetched; then the new one does."""
    hub.fail(SECOND, WEIGHTS, hub_faults.slow(SPEED_BYTES_PER_S))
    select(service, SECOND)
    # More than the head, which was looked at to say whether it fits.
    wait_until(lambda: hub.sent_bytes[SECOND, WEIGHTS] > 300_000, 60, "its download")

    assert chat(service, FIRST)
    assert service.wait_switch()["phase"] == "done"

    assert chat(service, SECOND)
    assert service.json("status", "--json")["model"]["source"] == SECOND


def test_the_end_leaves_no_process_behind(service):
    """Ctrl-C ends all of it."""
    assert service.interrupt() == 0
    assert service.leftovers() == []

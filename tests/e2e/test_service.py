"""
The whole service on a real vLLM, in the order in which a person meets it.

One service runs through all tests of this file; each builds on the ones before it, and
the engine starts seven times in all.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest

from support.dependents import look_around
from support.hub_cache import write_cached_model
from support.monitoring import STEPS, HealthPoller
from support.service import Service, free_port
from support.service_clients import (
    broken_model,
    cosine,
    make_client,
    run_action,
    served_models,
)
from support.tools import require, require_tool
from support.waiting import wait_until
from vllm_pkg.actions.delete_model_cache import size_text
from vllm_pkg.engine.phases import Phase

pytestmark = [pytest.mark.engine, pytest.mark.timeout(420)]

REPOSITORY = "test-org/tiny-llama"
CUSTOM = {
    "config": {
        "selection": "custom",
        "value": {
            "args": f"{REPOSITORY} --served-model-name old-model --max-model-len 512"
            " --enforce-eager --kv-cache-memory-bytes 64M"
            " --override-generation-config '{\"temperature\": 0.5}'",
            "env": [{"name": "HF_HUB_OFFLINE", "value": "1"}],
        },
    }
}
MINILM = {"config": {"selection": "minilm", "value": {}}}
READY = "The vLLM API is ready"


@pytest.fixture(name="service", scope="module")
def service_fixture(tmp_path_factory):
    """The service, started with no model selected."""
    require(shutil.which("vllm", path=Path(sys.executable).parent), "vLLM is missing")
    service = Service(tmp_path_factory.mktemp("service"), free_port())
    yield service
    service.close()


@pytest.fixture(name="poller", scope="module")
def poller_fixture(service):
    """An operator's monitoring, which polls through all of it."""
    with HealthPoller(service) as poller:
        yield poller


def test_install_makes_a_key_and_a_critical_task(service):
    """After the install there are a key, a critical task and no running service."""
    state = service.json("init", "--kind", "install", "--json")
    again = service.json("init", "--kind", "install", "--json")

    assert state["tasks"] == [
        {
            "actionId": "set-model",
            "severity": "critical",
            "reason": "Select which AI model vLLM should serve",
        }
    ]
    assert again == state
    assert len(service.key()) == 22
    assert (service.public / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_without_a_model_the_service_idles(service, poller):
    """Started with nothing selected, it idles and health says what to do."""
    service.start("--no-default")

    health = service.wait_result("disabled")

    assert health["message"] == 'No model selected. Run the "Set Model" action.'
    assert service.command("health").returncode == 59
    assert service.leftovers() == []
    wait_until(lambda: poller.results() == ["disabled"], 30, "the monitoring's turn")


def test_set_model_serves_a_repository_from_the_cache(service):
    """Set Model restarts the engine by itself; health is loading, then success."""
    write_cached_model(service.main / "models", REPOSITORY)

    result = run_action(service, "set-model", CUSTOM)

    assert result["version"] == "1"
    assert result["title"] == "Model Selected"
    assert result["message"].startswith(f"Selected {REPOSITORY} with your arguments.")
    service.wait_result("loading")
    assert service.wait_result("success")["message"] == READY


def test_health_went_through_loading_and_never_failed(poller):
    """What the monitoring saw is idle, start, load and success, and no failure."""
    wait_until(lambda: poller.results()[-1] == "success", 10, "the monitoring's turn")
    results = poller.results()

    assert results.index("loading") < results.index("success")
    assert "disabled" in results
    assert "failure" not in results[results.index("disabled") :]


def test_the_start_was_told_as_it_went(service, poller):
    """Phases advanced in their order, health told them, and the start has its log."""
    start = service.json("status", "--json")["start"]
    order = [phase.value for phase in Phase]
    names = [item["phase"] for item in start["phases"]]
    log = Path(start["logFile"])
    lines = log.read_text(errors="replace").splitlines()
    history = json.loads((service.main / "run" / "start-history.json").read_text())
    (learned,) = history["starts"].values()
    told = {seen["message"] for seen in poller.seen if seen["result"] == "loading"}

    assert (start["phase"], start["percent"]) == ("ready", 100.0)
    assert {"starting", "load", "warm-up"} <= set(names)
    assert names == sorted(names, key=order.index)
    seconds = sum(item["seconds"] for item in start["phases"])
    assert seconds == pytest.approx(start["readyAfterS"], abs=1.0)
    assert log.parent == service.main / "logs"
    assert lines[0].startswith("=== vllm-pkg: engine start ")
    assert any("Application startup complete" in line for line in lines)
    assert any("Now: starting the engine" in message for message in told)
    assert learned["runs"][0]["memory"]["kv_cache_tokens"] > 0


def test_openai_client_streams_a_chat(service):
    """The official client gets a streamed chat completion with the key."""
    with make_client(service) as client:
        stream = client.chat.completions.create(
            model="old-model",
            messages=[{"role": "user", "content": "Hello!"}],
            max_tokens=16,
            stream=True,
        )
        chunks = [chunk.choices[0].delta.content or "" for chunk in stream]

    assert len([chunk for chunk in chunks if chunk]) > 1
    assert "".join(chunks).strip()


@pytest.mark.parametrize("key", ["wrong", "x" * 22])
def test_wrong_key_is_refused(service, key):
    """Without the right key the client gets 401."""
    with (
        make_client(service, key) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()

    assert caught.value.status_code == 401


def test_without_a_key_the_client_is_refused(service):
    """A request that carries no key at all gets 401, and a hint of which it needs."""
    answer = httpx.get(f"{service.base_url}/models", timeout=10)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_get_api_key_returns_the_key_masked(service):
    """The action returns the key of the public file, masked and copyable."""
    result = run_action(service, "get-api-credentials")["result"]

    assert result == {
        "type": "single",
        "value": service.key(),
        "masked": True,
        "copyable": True,
        "qr": False,
    }


def test_vllms_own_command_line_talks_to_it(service):
    """``vllm complete`` gets an answer from the service."""
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "vllm"),
            *("complete", "--url", service.base_url, "--api-key", service.key()),
            *("--model-name", "old-model", "--quick", "one two"),
            *("--max-tokens", "8"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_dependent_sees_the_public_folder_only(service):
    """A process that sees nothing but the public folder, read-only, authenticates."""
    seen = look_around(service.folder, service.public, "--url", service.base_url)

    assert seen == {
        "uid": 0,
        "root": ["public"],
        "public": ["credentials.json"],
        "main": [],
        "can_write": False,
        "models": ["old-model"],
    }


def test_key_is_in_no_command_line(service):
    """Outside StartOS no process shows the key in its arguments."""
    lines = [
        path.read_bytes().decode(errors="replace")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    ]

    assert any("vllm" in line for line in lines)
    assert not [line for line in lines if service.key() in line]


def test_status_tells_the_whole_picture(service):
    """The status names the model, its health, the address and no task."""
    status = service.json("status", "--json")

    assert status["isRunning"] is True
    assert status["model"] == {
        "selection": "custom",
        "source": REPOSITORY,
        "servedName": "old-model",
    }
    assert status["health"]["result"] == "success"
    assert status["api"] == {"baseUrl": service.base_url}
    assert status["tasks"] == []
    assert status["lastFailure"] is None
    assert "old-model" in service.command("status").stdout


def test_second_service_on_the_same_volumes_is_refused(service):
    """A second `run` says that the service runs already and changes nothing."""
    done = service.command("run", "--port", str(free_port()))

    assert done.returncode == 2
    assert done.stderr.startswith("error: the service runs already (process ")
    assert done.stderr.count("\n") == 1
    assert service.health()["result"] == "success"


def test_port_in_use_is_refused(service, tmp_path):
    """Another instance on the same port says so in one line and exits with 75."""
    other = Service(tmp_path, service.port)

    done = other.command("run", "--port", str(service.port))

    assert done.returncode == 75
    assert done.stderr == (
        f"error: port {service.port} on 127.0.0.1 is in use by another program;"
        " stop that program, or choose another port: --port\n"
    )
    assert not (other.main / "store.json").exists()


def test_model_in_use_is_not_deleted(service):
    """The cache of the served model is refused to be deleted."""
    value = {
        "model": {"selection": "cached", "value": {"repo": REPOSITORY}},
        "clearSelection": False,
    }
    done = service.command(
        *("action", "run", "delete-model-cache", "--input", json.dumps(value))
    )

    assert done.returncode == 73
    assert REPOSITORY in done.stderr
    assert service.health()["result"] == "success"


def test_a_broken_model_gives_its_place_back(service):
    """T17: weights of another model fail the switch; the old model serves again."""
    options = "--max-model-len 512 --enforce-eager --kv-cache-memory-bytes 64M"

    result = run_action(service, "set-model", broken_model(service, options))
    returned = service.wait_switch()

    assert result["title"] == "Switch Begun"
    assert returned["phase"] == "returned"
    assert returned["reason"].startswith("The engine ended with exit code 1.")
    assert returned["returnReason"] is None
    assert "The switch to broken was taken back" in service.command("status").stdout
    assert service.health()["result"] == "success"
    assert served_models(service) == ["old-model"]


def test_switching_to_a_real_embedding_model(service):
    """
    The switch is prepared and done, and serves real weights: cat is near kitten.

    The expected figures are those of the same weights in plain transformers 5.19 with
    mean pooling: 0.7882 and 0.3161.
    """
    run_action(service, "set-model", MINILM)
    assert service.wait_switch()["phase"] == "done"
    assert service.health()["result"] == "success"

    with make_client(service) as client:
        answer = client.embeddings.create(
            model="all-MiniLM-L6-v2", input=["cat", "kitten", "tax"]
        )
    cat, kitten, tax = (item.embedding for item in answer.data)

    assert len(cat) == 384
    assert cosine(cat, kitten) == pytest.approx(0.788, abs=0.01)
    assert cosine(cat, tax) == pytest.approx(0.316, abs=0.01)


def test_old_models_cache_is_deleted(service):
    """The model that is no longer in use is deleted and its bytes are reported."""
    folder = service.main / "models" / f"models--{REPOSITORY.replace('/', '--')}"
    files = [path for path in folder.rglob("*") if not path.is_symlink()]
    size_bytes = sum(path.stat().st_size for path in files if path.is_file())

    spec = service.json("action", "input", "delete-model-cache")["spec"]
    value = {
        "model": {"selection": "cached", "value": {"repo": REPOSITORY}},
        "clearSelection": False,
    }
    result = run_action(service, "delete-model-cache", value)

    assert REPOSITORY in json.dumps(spec)
    assert not folder.exists()
    freed = size_text(size_bytes)
    assert result["message"] == f"Deleted {REPOSITORY} and freed {freed}."
    assert service.health()["result"] == "success"


def test_a_wrong_argument_fails_at_once_with_its_cause(service):
    """Restarted at once, what vLLM refuses fails with vLLM's words, and is final."""
    broken = broken_model(service, "--max-model-len many")
    run_action(service, "set-model", broken, "--no-prepare")

    service.wait_result("failure")
    wait_until(lambda: "exit code" in service.health()["message"], 10, "the cause")
    health = service.health()

    assert "exit code 2" in health["message"]
    assert "--max-model-len" in health["message"]
    assert "It is not started again." in health["message"]
    assert service.json("status", "--json")["lastFailure"]["is_final"] is True


def test_ctrl_c_leaves_no_process_behind(service):
    """Ctrl-C ends everything with exit code 0; the port is free and health says so."""
    code = service.interrupt()

    assert code == 0
    assert service.leftovers() == []
    with socket.create_server(("127.0.0.1", service.port)):
        pass
    assert service.health()["result"] == "failure"
    assert "not running" in service.health()["message"]


def test_removing_the_key_file_rotates_the_key(service):
    """After a restart without credentials.json the old key is refused."""
    old = service.key()
    (service.public / "credentials.json").unlink()

    service.start("--model", "tiny")
    service.wait_result("success")
    new = service.key()

    assert new != old
    with pytest.raises(openai.AuthenticationError):
        served_models(service, old)
    assert served_models(service, new) == ["tiny"]


def test_the_printed_curl_line_really_answers(service):
    """The line that `run` prints gets a chat completion in another terminal."""
    require_tool("curl")
    log = (service.folder / "run.log").read_text()
    line = [text for text in log.splitlines() if "Try it" in text][-1]
    done = subprocess.run(
        ["bash", "-c", line[line.index("curl") :]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert json.loads(done.stdout)["choices"][0]["message"]["content"].strip()
    assert "talks\n  nonsense" in log
    assert "make run MODEL=" in log


def test_end_leaves_no_process_behind(service):
    """The second Ctrl-C leaves nothing either."""
    assert service.interrupt() == 0
    assert service.leftovers() == []


def test_monitoring_saw_each_step_and_no_other(service, poller):
    """Through all of it health went the ways that it may, step by step."""
    ended = service.health()
    wait_until(lambda: poller.seen[-1] == ended, 10, "the monitoring's turn")
    results = poller.results()
    steps = " ".join(results)

    assert re.fullmatch(STEPS, steps), steps
    assert {health["id"] for health in poller.seen} == {"primary"}

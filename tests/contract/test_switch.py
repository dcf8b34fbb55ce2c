"""
Switches under the real host: supervisord, keeper and fetcher, with a fake engine.

The engine is the fake of `support.fake_vllm`: a real one takes half a minute for each
start, and cannot be made to come up and then refuse a request.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from support.fake_host import make_fake_host
from support.hub_cache import COMMIT, write_cached_model
from support.mended_starts import failing_variables
from support.tiny_checkpoint import write_checkpoint
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
OFFLINE = {"name": "HF_HUB_OFFLINE", "value": "1"}
TIMEOUT_S = 40.0
WEIGHTS = Path("snapshots") / COMMIT / "model.safetensors"
PREPARED = ("org/new", "org/broken", "org/mute", "org/hang")


def custom(name, mode=None):
    """Return the form's value for a model whose engine behaves as told."""
    env = [OFFLINE]
    if mode is not None:
        env.append({"name": "FAKE_MODE", "value": mode})
    return {"config": {"selection": "custom", "value": {"args": name, "env": env}}}


@pytest.fixture(name="host", scope="module")
def host_fixture(tmp_path_factory):
    """A service that serves ``org/old``; each test leaves one that serves."""
    host = make_fake_host(tmp_path_factory.mktemp("switch"))
    host.main.mkdir()
    for name in PREPARED:
        write_cached_model(host.main / "models", name)
    store = {"serveArgs": ["org/old"], "serveEnv": [OFFLINE], "future": 1}
    (host.main / "store.json").write_text(json.dumps(store))
    host.start()
    host.wait_result("success")
    wait_until((host.main / "run" / "fetcher.json").exists, 20, "the fetcher")
    yield host
    host.interrupt()
    host.destroy()


def set_model(host, value, *options):
    """Run Set Model and return its result."""
    arguments = ("action", "run", "set-model", "--input", "-", *options)
    return host.json(*arguments, stdin=json.dumps(value))


def switch(host):
    """Return the present switch."""
    return host.json("switch", "status", "--json")["current"]


def wait_over(host):
    """Wait until the present switch is over and return it."""

    def over():
        current = switch(host)
        return current if current["isOver"] else None

    return wait_until(over, TIMEOUT_S, "the end of the switch")


def served(host):
    """Return the models of all engine starts so far."""
    starts = [start["argv"] for start in host.fake.starts()]
    return [argv[argv.index("serve") + 1] for argv in starts]


def wait_shown(host, text):
    """Wait until `run` has shown a text."""
    log = host.folder / "run.log"
    wait_until(lambda: text in log.read_text(), TIMEOUT_S, text)


def fetcher_pid(host):
    """Return the process of the fetcher."""
    return json.loads((host.main / "run" / "fetcher.json").read_text())["pid"]


def test_set_model_returns_at_once_and_the_switch_follows(host):
    """The action answers in seconds; the fetcher switches, and nothing else changes."""
    result = set_model(host, custom("org/new"))

    assert result["title"] == "Switch Begun"
    assert "org/old goes on serving" in result["message"]
    done = wait_over(host)
    assert done["phase"] == "done"
    assert done["text"] == "The switch to org/new is done."
    assert served(host) == ["org/old", "org/new"]
    assert host.health()["result"] == "success"
    assert json.loads((host.main / "store.json").read_text())["future"] == 1
    assert (host.main / "switch.json").stat().st_mode & 0o777 == 0o600
    wait_shown(host, "switch: The switch to org/new is done.")


def test_a_model_that_fails_is_taken_back(host):
    """The old one serves again; status, form and log say why."""
    set_model(host, custom("org/broken", "exit"))

    returned = wait_over(host)

    why = "The engine ended with exit code 2: FakeError: its weights are damaged."
    assert (returned["phase"], returned["reason"]) == ("returned", why)
    assert served(host)[-2:] == ["org/broken", "org/new"]
    assert host.health()["result"] == "success"
    hint = 'Correct the model or its arguments with the "Set Model" action.'
    assert returned["hint"] == hint
    text = f"The switch to org/broken was taken back: {why} {hint}"
    assert f"Switch:    {text}" in host.command("status").stdout
    assert host.json("status", "--json")["switch"]["current"]["text"] == text
    form = host.json("action", "input", "set-model")
    assert form["spec"]["config"]["description"].endswith(text)
    wait_shown(host, text)
    assert why in (host.main / "logs" / "fetcher.log").read_text()


def test_a_model_that_failed_is_mended_and_switched_to(host, tmp_path):
    """Its fix outlives the return of the old model; one click, and the new one runs."""
    folder = write_cached_model(host.main / "models", "org/long")
    # Of a kind that the estimate does not know: else the argument would be refused.
    config = folder / "snapshots" / COMMIT / "config.json"
    config.write_text(json.dumps({"model_type": "unheard-of"}))
    cure = "--max-model-len 2048"
    value = custom("org/long --max-model-len 9999")
    for name, text in failing_variables(
        tmp_path, "context-exceeds-model", cure
    ).items():
        value["config"]["value"]["env"].append({"name": name, "value": text})
    set_model(host, value)
    returned = wait_over(host)
    host.wait_result("success")
    wait_until(lambda: host.failure() is None, TIMEOUT_S, "the end of the record")
    (offer,) = (
        item
        for item in host.json("action", "list", "--json")
        if item["id"] == "apply-fix"
    )

    result = host.json("action", "run", "apply-fix", "--json")
    done = wait_over(host)

    advice = f'The "Apply Fix" action can do it: set {cure.replace(" ", " to ")}.'
    assert returned["phase"] == "returned"
    assert returned["hint"].endswith(advice)
    assert returned["text"].endswith(f"{returned['reason']} {returned['hint']}")
    assert returned["changes"] == [
        {"name": "--max-model-len", "value": "2048", "isRemoved": False}
    ]
    assert offer["visibility"] == "enabled"
    assert offer["description"].startswith("Switch to org/long again, and set --max")
    assert result["title"] == "Switch Begun"
    assert (done["phase"], done["target"]["servedName"]) == ("done", "org/long")
    assert served(host)[-3:] == ["org/long", "org/new", "org/long"]
    assert cure in " ".join(host.fake.starts()[-1]["argv"])
    assert host.health()["result"] == "success"
    set_model(host, custom("org/new"))
    assert wait_over(host)["phase"] == "done"


def test_a_model_that_answers_nothing_is_taken_back(host):
    """An engine that is healthy and refuses the first request does not stay."""
    set_model(host, custom("org/mute", "refuse"))

    returned = wait_over(host)

    assert returned["phase"] == "returned"
    assert returned["reason"] == (
        "The test request to /v1/completions failed (HTTP status 500)."
    )
    assert served(host)[-2:] == ["org/mute", "org/new"]
    assert host.health()["result"] == "success"


def test_what_cannot_be_prepared_is_not_swapped_in(host, tmp_path):
    """A folder that has gone meanwhile fails the switch; no engine is restarted."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    before = len(host.fake.starts())
    # Stopped, so that the folder goes before the fetcher looks for it.
    process = psutil.Process(fetcher_pid(host))
    process.suspend()
    set_model(host, custom(str(folder)))
    (folder / "config.json").unlink()
    process.resume()

    failed = wait_over(host)

    assert failed["phase"] == "failed"
    assert "is not a folder with a model in it." in failed["reason"]
    assert len(host.fake.starts()) == before


def test_what_is_damaged_is_not_swapped_in(host):
    """Damage in the cache that may not be mended fails the switch; no restart."""
    weights = write_cached_model(host.main / "models", "org/damaged") / WEIGHTS
    with weights.open("r+b") as stream:
        stream.write(bytes(64))
    before = len(host.fake.starts())

    set_model(host, custom("org/damaged"))
    failed = wait_over(host)

    assert failed["phase"] == "failed"
    assert "org/damaged is not complete in the cache" in failed["reason"]
    assert len(host.fake.starts()) == before
    assert host.health()["result"] == "success"


def test_what_does_not_fit_is_refused_at_the_field(host, tmp_path):
    """The old model serves on, and the error names the argument that would do."""
    folder = write_checkpoint(tmp_path / "model")
    value = custom(f"{folder} --max-model-len 4096")
    before = len(host.fake.starts())

    done = host.command(
        *("action", "run", "set-model", "--input", "-"), stdin=json.dumps(value)
    )

    assert done.returncode == 2
    told = f"error: config.value.args: {folder} runs here with --max-model-len 2048: "
    assert done.stderr.startswith(told)
    assert len(host.fake.starts()) == before
    assert host.health()["result"] == "success"


def test_a_killed_fetcher_is_replaced_and_the_switch_can_be_cancelled(host):
    """Kill -9 while a model hangs: another fetcher goes on, and takes it back."""
    set_model(host, custom("org/hang", "hang"))
    wait_until(lambda: served(host)[-1] == "org/hang", TIMEOUT_S, "the hanging engine")
    wait_until(lambda: switch(host)["phase"] == "proving", TIMEOUT_S, "the proof")
    first = fetcher_pid(host)

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: fetcher_pid(host) != first, TIMEOUT_S, "another fetcher")
    cancelled = host.json("switch", "cancel", "--json")["current"]
    returned = wait_over(host)

    assert cancelled["phase"] in {"returning", "settling", "returned"}
    assert (returned["phase"], returned["reason"]) == ("returned", "It was cancelled.")
    assert served(host).count("org/hang") == 1
    assert host.health()["result"] == "success"
    again = host.command("switch", "cancel")
    assert again.returncode == 2
    assert again.stderr == (
        "error: there is no switch that can be cancelled; see vllm-pkg switch status\n"
    )


def test_a_second_fetcher_is_refused(host):
    """One instance has one fetcher."""
    done = host.command("fetcher")

    assert done.returncode == 2
    assert "this instance has a fetcher already" in done.stderr


def test_an_immediate_restart_is_still_there(host):
    """With --no-prepare the selection and the restart happen at once."""
    result = set_model(host, custom("org/direct"), "--no-prepare")

    assert result["title"] == "Model Selected"
    host.wait_result("success")
    wait_until(lambda: served(host)[-1] == "org/direct", TIMEOUT_S, "its engine")
    assert switch(host)["phase"] == "returned"


def test_an_idle_fetcher_costs_nothing(host):
    """It uses under 1 % of a core, and the memory of a bare Python."""
    process = psutil.Process(fetcher_pid(host))
    wait_until(lambda: process.status() == psutil.STATUS_SLEEPING, 20, "it to sleep")
    before, began_s = process.cpu_times(), time.monotonic()
    wait_until(lambda: time.monotonic() - began_s > 3, 10, "three seconds")
    after, took_s = process.cpu_times(), time.monotonic() - began_s

    used_s = after.user + after.system - before.user - before.system
    assert used_s / took_s < 0.01
    assert process.memory_info().rss < 64 * 1024**2

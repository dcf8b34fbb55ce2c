"""The daemon as a real process: how it idles, ends, refuses and becomes the engine."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.command_line import MACHINES
from support.daemons import KEY, Daemon
from support.fake_vllm import make_fake_vllm
from support.process_tree import ProcessTree, start_tree
from support.tools import require
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.processes import instance_id
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity, started_ticks

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "fedcba9876543210"
CUSTOM = json.dumps(
    {"config": {"selection": "custom", "value": {"args": "org/name", "env": []}}}
)
# The program with less patience, so that a test need not wait for 15 s.
HASTY = """\
import sys
from vllm_pkg.cli.main import run
from vllm_pkg.engine import daemon
daemon.LEFTOVER_GRACE_S = 0.5
run()
"""


@pytest.fixture(name="daemon")
def daemon_fixture(tmp_path):
    """A daemon with a key and no model, not started yet."""
    daemon = Daemon(tmp_path, make_fake_vllm(tmp_path / "fake"))
    yield daemon
    daemon.close()


@pytest.fixture(name="make_tree")
def make_tree_fixture(tmp_path):
    """Start trees of processes and end what is left of them."""
    trees: list[ProcessTree] = []

    def make(instance, *, ignores_sigterm=False):
        folder = tmp_path / f"tree-{len(trees)}"
        trees.append(start_tree(folder, instance, ignores_sigterm=ignores_sigterm))
        return trees[-1]

    yield make
    for tree in trees:
        tree.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idling_ends_at_once(daemon, number):
    """With nothing selected it idles, and a signal ends it within a second."""
    process = daemon.start()
    daemon.wait_idle()
    assert process.poll() is None

    process.send_signal(number)

    assert process.wait(1.0) == 0
    assert daemon.errors.read_text() == ""
    assert daemon.fake.starts() == []


@pytest.mark.parametrize("is_model_selected", [False, True])
def test_early_signal_never_hangs(daemon, is_model_selected):
    """SIGTERM at any moment of ten starts each ends it, before or after the exec."""
    if is_model_selected:
        daemon.select("org/name")
    chance = random.Random(20)  # noqa: S311  # moments, no secrets
    codes = set()
    for _ in range(10):
        process = daemon.start()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.0, 0.5))
        process.terminate()
        codes.add(process.wait(5.0))

    assert codes <= {0, -signal.SIGTERM}


def test_missing_model_folder_is_told(daemon):
    """It exits with 78 and one line, records the failure, and health repeats it."""
    daemon.variables["VLLM_PKG_PROFILE"] = "startos"
    daemon.select("/missing/model")

    code = daemon.start().wait(20)

    assert code == 78
    assert daemon.errors.read_text() == (
        "error: /missing/model is not a folder with a model in it;"
        " give the path of a folder with a config.json, or a repository\n"
    )
    code, message = daemon.health()
    assert code == 1
    assert message == (
        "vLLM API: failure: The engine could not be started: /missing/model is not a"
        " folder with a model in it. Give the path of a folder with a config.json, or"
        " a repository.\n"
    )
    assert daemon.fake.starts() == []


def test_a_damaged_store_is_told_until_a_model_is_selected(daemon):
    """The next start idles without the store, and health still says what happened."""
    daemon.under_startos()
    daemon.settings.store_file.write_text('{"serveArgs": ["org/na')
    assert daemon.start().wait(20) == 74
    daemon.start()
    daemon.wait_idle()

    code, damaged = daemon.health()
    assert daemon.run("action", "run", "set-model", "--input", CUSTOM)[0] == 0
    _, selected = daemon.health()
    daemon.settings.store_file.unlink()
    _, cleared = daemon.health()

    assert code == 1
    aside = "it was set aside as store.json.corrupt-1. Restore it from a backup, or"
    assert damaged.startswith("vLLM API: failure: The engine could not be started: ")
    assert aside in damaged
    assert damaged.endswith(' No model selected. Run the "Set Model" action.\n')
    assert selected == "vLLM API: starting: The service is starting.\n"
    assert cleared == (
        'vLLM API: disabled: No model selected. Run the "Set Model" action.\n'
    )


@pytest.mark.parametrize(
    "content", ["", "{", '{"apiKey": ""}', '{"apiKey": null}', "[]"]
)
def test_no_engine_starts_without_a_key(daemon, content):
    """A damaged key file is set aside and reported, and no engine starts."""
    daemon.select("org/name")
    daemon.settings.credentials_file.write_text(content)

    code = daemon.start().wait(20)

    aside = daemon.settings.public / "credentials.json.corrupt-1"
    assert code == 74
    assert daemon.errors.read_text().count("\n") == 1
    assert "it was set aside as credentials.json.corrupt-1" in daemon.errors.read_text()
    assert aside.read_text() == content
    assert daemon.fake.starts() == []


def test_next_start_after_a_damaged_key_makes_a_new_one(daemon):
    """Once the damaged file is aside, the engine starts with a new key."""
    daemon.select("org/name")
    daemon.settings.credentials_file.write_text("{")
    daemon.start().wait(20)

    daemon.start()

    given = daemon.wait_engine()["env"]["VLLM_API_KEY"]
    text = daemon.settings.credentials_file.read_text()
    assert len(given) == 22
    assert json.loads(text) == {"apiKey": given}


@pytest.mark.parametrize("profile", ["standalone", "startos"])
def test_engine_takes_the_daemons_place(daemon, profile):
    """The engine has the daemon's pid, its fixed arguments, its marker and the key."""
    if profile == "startos":
        daemon.under_startos()
    daemon.variables["VLLM_API_KEY"] = "inherited"
    daemon.select("org/name", "--served-model-name", "short")
    process = daemon.start()

    start = daemon.wait_engine()

    port = "8000" if profile == "startos" else daemon.variables["VLLM_PKG_PORT"]
    host = "0.0.0.0" if profile == "startos" else "127.0.0.1"
    key = ["--api-key", KEY] if profile == "startos" else []
    assert start["pid"] == process.pid
    assert start["argv"][2:] == [
        *(str(daemon.fake.vllm), "serve", "org/name"),
        *("--served-model-name", "short", "--host", host, "--port", port),
        *("--download-dir", f"{daemon.folder}/main/models"),
        *("--middleware", "vllm_pkg.engine.guard.middleware.Guard"),
        *key,
    ]
    assert start["env"].get("VLLM_API_KEY") == (None if key else KEY)
    assert start["env"]["VLLM_PKG_ENGINE"] == instance_id(daemon.settings.main)
    assert start["env"]["HF_HUB_CACHE"] == f"{daemon.folder}/main/models"
    assert start["blocked"] == []
    assert process.poll() is None


def test_start_record_names_the_running_engine(daemon):
    """The record has pid and start time of the engine that runs now."""
    daemon.select("org/name", "--served-model-name", "short")
    before_s = BootClock().now_s()
    process = daemon.start()
    daemon.wait_engine()

    record = records.read_start(daemon.settings)

    assert record is not None
    assert record.process == ProcessIdentity(
        process.pid, started_ticks(process.pid) or 0, BootClock().boot_id()
    )
    assert record.host == "127.0.0.1"
    assert str(record.port) == daemon.variables["VLLM_PKG_PORT"]
    assert record.model == "short"
    assert before_s < record.started_s < BootClock().now_s()
    assert not record.is_stop_intended


def test_log_of_a_start_begins_with_the_mark(daemon):
    """The line by which a log is divided into starts is the first one."""
    daemon.start()
    daemon.wait_idle()

    first = daemon.output.read_text().splitlines()[0]

    assert first.startswith("=== vllm-pkg: engine start ")


def test_record_of_an_earlier_start_is_removed(daemon):
    """An idling daemon leaves no record of an engine that ran before."""
    record = records.StartRecord(ProcessIdentity(1, 1, "x"), 1.0, "127.0.0.1", 1, "x")
    records.write_record(daemon.settings.start_file, record)

    daemon.start()
    daemon.wait_idle()

    assert not daemon.settings.start_file.exists()


def test_leftovers_are_ended_before_the_engine_starts(daemon, make_tree):
    """An earlier engine's tree is gone when the new one starts; others live on."""
    daemon.select("org/name")
    tree = make_tree(instance_id(daemon.settings.main), ignores_sigterm=True)
    other = make_tree(OTHER)

    daemon.start((str(daemon.fake.python), "-c", HASTY))
    daemon.wait_engine()

    assert tree.told.exists()
    assert tree.alive() == []
    assert len(other.alive()) == 3


def test_signal_while_leftovers_are_ended_starts_no_engine(daemon, make_tree):
    """A stop during the preparation is not lost: it ends in order, with no engine."""
    daemon.select("org/name")
    tree = make_tree(instance_id(daemon.settings.main), ignores_sigterm=True)
    process = daemon.start((str(daemon.fake.python), "-c", HASTY))
    wait_until(tree.told.exists, 20, "the sweep")

    process.terminate()

    assert process.wait(10) == 0
    assert daemon.fake.starts() == []


def test_port_in_use_is_told(daemon):
    """A port that another program has is exit code 75, and no engine starts."""
    daemon.select("org/name")
    with socket.create_server(("127.0.0.1", 0)) as server:
        daemon.variables["VLLM_PKG_PORT"] = str(server.getsockname()[1])
        code = daemon.start().wait(20)

    assert code == 75
    assert "is in use by another program; stop that" in daemon.errors.read_text()
    assert daemon.fake.starts() == []


@pytest.mark.parametrize("line", ["#!/missing/python", "\x7fELF nothing"])
def test_engine_that_cannot_be_executed_is_told(daemon, line):
    """A script whose Python has moved away is named, with what to do."""
    daemon.select("org/name")
    daemon.fake.vllm.write_text(line)

    code = daemon.start().wait(20)

    failure = records.read_failure(daemon.settings)
    assert code == 78
    assert daemon.errors.read_text().startswith(
        f"error: {daemon.fake.vllm} cannot be run: "
    )
    assert daemon.errors.read_text().endswith("; install it: make setup\n")
    assert failure is not None
    assert "cannot be run" in failure.summary


def _write_ldconfig(daemon: Daemon, first_line: str) -> Path:
    """Write an ldconfig that notes how often the engine was started before it."""
    folder = daemon.folder / "path"
    folder.mkdir()
    calls = daemon.folder / "calls"
    program = folder / "ldconfig"
    starts = daemon.fake.folder / "starts"
    program.write_text(f"{first_line}\nwc -l < {starts} >> {calls}\nexit 1\n")
    program.chmod(0o755)
    daemon.variables["PATH"] = f"{folder}:{os.environ['PATH']}"
    return calls


def test_linker_cache_is_refreshed_before_the_engine(daemon):
    """In an NVIDIA image ldconfig runs first; its failure stops nothing."""
    require(os.geteuid() == 0, "only root has a linker cache to refresh")
    daemon.under_startos("nvidia")
    daemon.select("org/name")
    calls = _write_ldconfig(daemon, "#!/bin/sh")

    daemon.start()
    daemon.wait_engine()

    assert calls.read_text() == "0\n"
    assert daemon.errors.read_text() == "ldconfig ended with 1\n"


def test_linker_cache_is_refreshed_before_the_hardware_is_looked_at(daemon):
    """NVML, too, is found through the cache: what is looked at is there after it."""
    require(os.geteuid() == 0, "only root has a linker cache to refresh")
    daemon.under_startos("nvidia")
    daemon.select("org/name")
    machine = daemon.folder / "machine.json"
    daemon.variables["VLLM_PKG_HARDWARE"] = str(machine)
    calls = _write_ldconfig(daemon, f"#!/bin/sh\ncp {MACHINES}/h100.json {machine}")

    daemon.start()
    daemon.wait_engine()

    assert calls.exists()


def test_ldconfig_that_cannot_run_stops_nothing(daemon):
    """Where ldconfig cannot be executed, that is told and the engine starts."""
    require(os.geteuid() == 0, "only root has a linker cache to refresh")
    daemon.under_startos("nvidia")
    daemon.select("org/name")
    calls = _write_ldconfig(daemon, "#!/missing/shell")

    daemon.start()
    daemon.wait_engine()

    assert not calls.exists()
    assert daemon.errors.read_text().startswith("ldconfig did not run: ")


@pytest.mark.parametrize(
    ("profile", "variant"), [("startos", "cpu"), ("standalone", "nvidia")]
)
def test_linker_cache_is_left_alone_elsewhere(daemon, profile, variant):
    """Without NVIDIA's image, or on a person's machine, nothing is refreshed."""
    if profile == "startos":
        daemon.under_startos(variant)
    daemon.variables["VLLM_PKG_VARIANT"] = variant
    daemon.select("org/name")
    calls = _write_ldconfig(daemon, "#!/bin/sh")

    daemon.start()
    daemon.wait_engine()

    assert not calls.exists()
    assert daemon.errors.read_text() == ""

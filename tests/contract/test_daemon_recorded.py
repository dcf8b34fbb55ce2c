"""What a start leaves to be read: its progress, its log, its download."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support import hub_faults
from support.daemons import Daemon
from support.downloads import WEIGHTS, write_model
from support.fake_vllm import make_fake_vllm
from support.hub_server import HubServer
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.phases import Phase
from vllm_pkg.engine.recorded_start import last_log
from vllm_pkg.models.uses import read_uses
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive

REPOSITORY = "org/tiny"
PHASES = [phase.value for phase in Phase]


@pytest.fixture(name="hub")
def hub_fixture(tmp_path):
    """A Hub that serves the tiny model."""
    with HubServer() as hub:
        hub.add(REPOSITORY, write_model(tmp_path / "served"))
        yield hub


@pytest.fixture(name="daemon")
def daemon_fixture(tmp_path, hub):
    """A daemon that has a model to fetch from the Hub, not started yet."""
    daemon = Daemon(tmp_path, make_fake_vllm(tmp_path / "fake"))
    daemon.variables |= {"HF_HUB_OFFLINE": "", "HF_ENDPOINT": hub.url}
    daemon.select(REPOSITORY)
    yield daemon
    daemon.close()


def read(daemon):
    """Return the record of the start, or None."""
    return records.read_start(daemon.settings)


def wait_phase(daemon, phase):
    """Wait until the start is in a phase and return its record."""

    def reached():
        start = read(daemon)
        return start if start is not None and start.phase == phase else None

    return wait_until(reached, 30, phase)


def check(daemon, *arguments):
    """Return the exit code and the JSON of a health check."""
    done = subprocess.run(
        [*daemon.fake.program, "health", "--json", *arguments],
        env=os.environ | daemon.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_a_model_is_fetched_before_the_engine(daemon, hub):
    """The engine starts when all is there, kept from the network, and is recorded."""
    process = daemon.start()
    phases: list[str] = []

    def is_ready():
        start = read(daemon)
        if start is not None and phases[-1:] != [start.phase]:
            phases.append(start.phase)
        return start if start is not None and start.phase == "ready" else None

    ready = wait_until(is_ready, 20, "readiness")
    engine = daemon.wait_engine()

    assert phases == sorted(phases, key=PHASES.index)
    assert engine["pid"] == process.pid
    assert engine["env"]["HF_HUB_OFFLINE"] == "1"
    assert hub.sent_bytes[REPOSITORY, WEIGHTS] > 0
    assert [name for name, _ in ready.phases] == ["download", "starting"]
    assert ready.bytes_done == ready.bytes_total
    assert ready.percent == 100.0
    assert ready.ready_after_s is not None
    assert ready.recorder is not None
    assert is_alive(ready.recorder, BootClock().boot_id())


def test_a_complete_cache_needs_no_hub(daemon, hub):
    """A second start fetches nothing, asks nobody, and is no download."""
    daemon.start()
    wait_phase(daemon, "ready")
    daemon.close()
    asked = len(hub.requests)

    daemon.start()
    wait_until(lambda: len(daemon.fake.starts()) == 2, 20, "the second engine")
    ready = wait_phase(daemon, "ready")

    assert len(hub.requests) == asked
    assert daemon.fake.starts()[1]["env"]["HF_HUB_OFFLINE"] == "1"
    assert [name for name, _ in ready.phases] == ["starting"]
    assert ready.bytes_total is None


def test_each_start_is_a_use_of_its_model(daemon):
    """The list of models is told by the starts when a model was last used."""
    daemon.start()
    wait_phase(daemon, "ready")
    daemon.close()
    first_s = read_uses(daemon.settings)[REPOSITORY]

    daemon.start()
    wait_until(lambda: len(daemon.fake.starts()) == 2, 20, "the second engine")

    assert read_uses(daemon.settings)[REPOSITORY] > first_s


def test_a_download_is_told_and_ends_at_a_signal(daemon, hub):
    """Health and status have its bytes; SIGTERM ends it with 0, and what came stays."""
    hub.fail(REPOSITORY, WEIGHTS, hub_faults.slow(150_000))
    process = daemon.start()
    wait_until(
        lambda: (start := read(daemon)) is not None and start.bytes_done, 30, "bytes"
    )
    primary_code, primary = check(daemon, "--check", "primary")
    download_code, download = check(daemon, "--check", "download")
    _, both = check(daemon)
    status = subprocess.run(
        [*daemon.fake.program, "status", "--json"],
        env=os.environ | daemon.variables,
        capture_output=True,
        text=True,
        check=True,
    )
    process.send_signal(signal.SIGTERM)
    code = process.wait(10)
    ended_code, ended = check(daemon, "--check", "download")

    assert (primary_code, download_code) == (61, 61)
    assert primary["message"].startswith("The model is loading. A first-time download")
    assert f" Downloading {REPOSITORY}: " in primary["message"]
    assert download["message"].startswith(f"Downloading {REPOSITORY}: ")
    assert "MB/s" in download["message"]
    assert [item["id"] for item in both] == ["primary", "download"]
    start = json.loads(status.stdout)["start"]
    assert start["phase"] == "download"
    assert 0 < start["bytesDone"] < start["bytesTotal"]
    assert code == 0
    assert daemon.fake.starts() == []
    assert daemon.errors.read_text() == ""
    assert (ended_code, ended["message"]) == (59, "No download is under way.")
    assert list(daemon.settings.models_dir.rglob("*.incomplete*")) != []


def test_a_repository_that_is_missing_ends_the_start(daemon):
    """It is told in one line with its exit code, and no engine starts."""
    daemon.select("org/none")

    code = daemon.start().wait(30)

    # The Hub says the same of one that is missing and of one that is hidden.
    assert code == 77
    assert daemon.errors.read_text().count("\n") == 1
    assert "org/none" in daemon.errors.read_text()
    assert daemon.fake.starts() == []
    failure = records.read_failure(daemon.settings)
    assert failure is not None
    assert "org/none" in failure.summary
    assert daemon.health()[0] == 1


def test_print_fetches_nothing(daemon, hub):
    """``daemon --print`` shows what would be run, and asks no Hub."""
    done = subprocess.run(
        [*daemon.fake.program, "daemon", "--print"],
        env=os.environ | daemon.variables,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["mode"] == "serve"
    assert hub.requests == []


def test_the_log_of_a_start_ends_with_the_last_word(daemon):
    """An engine that ends at once is recorded from the mark to what it said last."""
    daemon.fake.set_exits(1)

    code = daemon.start().wait(30)
    log = last_log(daemon.settings)

    assert code == 1
    assert log is not None
    assert log.parent == daemon.settings.logs_dir
    assert log.stat().st_mode & 0o777 == 0o600
    lines = log.read_text().splitlines()
    assert lines[0].startswith("=== vllm-pkg: engine start ")
    assert lines[-1] == "FakeError: told to end with 1"
    assert daemon.output.read_text().splitlines() == lines


def test_the_recorder_ends_with_the_engine(daemon):
    """When the engine is killed, its recorder sees the end of the pipe and ends."""
    process = daemon.start()
    ready = wait_phase(daemon, "ready")
    process.kill()
    process.wait()

    wait_until(
        lambda: not is_alive(ready.recorder, BootClock().boot_id()), 10, "its end"
    )


def test_every_start_has_a_log(daemon):
    """Each start's output is in a file of its own as well as in stdout."""
    daemon.fake.set_exits(1, 1)
    daemon.start().wait(30)
    first = last_log(daemon.settings)
    wait_until(lambda: not _is_this_second(first), 5, "the next second")
    daemon.start().wait(30)
    second = last_log(daemon.settings)

    assert first is not None
    assert first != second
    assert first.is_file()
    assert sorted(Path(daemon.settings.logs_dir).glob("engine-*.log")) == [
        first,
        second,
    ]


def _is_this_second(log):
    return log.name == f"engine-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"

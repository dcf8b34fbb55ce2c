"""Looking at an engine's counters over a real socket, and the record that is left."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from support.fake_clock import FakeClock
from support.scripted_server import ScriptedServer, send
from support.settings_factory import make_settings
from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.health import watcher
from vllm_pkg.health.probe import check_health
from vllm_pkg.health.progress import Stall
from vllm_pkg.health.watcher import (
    next_look_s,
    remembered_stall,
    stall_timeout_s,
    watch_progress,
)
from vllm_pkg.settings_table import Profile
from vllm_pkg.state import atomic, credentials, records
from vllm_pkg.state.identity import ProcessIdentity, started_ticks
from vllm_pkg.state.store import ModelSelection, update_store

PROCESS = ProcessIdentity(os.getpid(), started_ticks(os.getpid()) or 0, "boot-1")
GPU = {"VLLM_PKG_VARIANT": "nvidia"}


class FakeMetrics:
    """
    A fake of the engine's port: a real engine cannot be made to stand still by numbers.

    It answers ``/health`` with 200 and ``/metrics`` with what a test sets.
    """

    def __init__(self) -> None:
        self.requests = 1
        self.tokens = 0
        self.waiting = ""
        self.is_silent = False
        self.port = 0

    def answer(self, peer, _ended) -> None:
        """Answer one request."""
        if self.is_silent:
            return
        text = (
            f'vllm:num_requests_running{{engine="0"}} {self.requests}\n'
            f'vllm:generation_tokens_total{{engine="0"}} {self.tokens}\n'
        )
        more = f"X-VLLM-Pkg-Waiting: {self.waiting}\r\n" if self.waiting else ""
        head = f"HTTP/1.1 200 OK\r\n{more}Content-Length: {len(text)}\r\n\r\n"
        peer.sendall((head + text).encode())


@pytest.fixture(name="engine")
def engine_fixture():
    """A fake engine's port."""
    engine = FakeMetrics()
    with ScriptedServer(engine.answer) as server:
        engine.port = server.port
        yield engine


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings of a machine with a GPU, a selected model, a key and a host."""
    settings = make_settings(tmp_path, **GPU)
    atomic.make_folder(settings.run_dir)
    update_store(settings, lambda s: s.with_model(("a/b",), (), ModelSelection("x")))
    credentials.ensure_key(settings)
    host = records.HostRecord(PROCESS, "127.0.0.1", 1, "/s")
    records.write_record(settings.host_file, host)
    return settings


def _start(settings, engine):
    start = records.StartRecord(PROCESS, 900.0, "127.0.0.1", engine.port, "x")
    records.write_record(settings.start_file, start)
    return start


def _look(settings, start, clock, seconds):
    """Look every 5 s for so many seconds; return the last verdict."""
    stall = watch_progress(settings, start, clock)
    for _ in range(seconds // 5):
        clock.seconds += 5
        stall = watch_progress(settings, start, clock)
    return stall


def test_a_stuck_engine_is_found_and_health_reads_it(settings, engine):
    """After 120 s without a step the look and the health check tell the same."""
    start, clock = _start(settings, engine), FakeClock()

    early = _look(settings, start, clock, 115)
    stall = _look(settings, start, clock, 5)
    health = check_health(settings, clock)

    assert early is None
    assert stall == Stall(1, 120.0)
    assert remembered_stall(settings, start, clock) == Stall(1, 120.0)
    assert health.result == "failure"
    assert health.message == (
        "The engine is stuck: 1 request runs and no token came out for 120 s."
        " A restart of the service helps. See its logs for the cause."
    )


def test_a_core_that_hung_while_it_was_idle_is_found(settings, engine):
    """Its gauges say that it has no request; the guard says that one waits."""
    start, clock = _start(settings, engine), FakeClock()
    engine.requests, engine.waiting = 0, "0 0.000"
    _look(settings, start, clock, 60)
    stalls = []
    for age in range(3, 150, 5):
        engine.waiting = f"1 {age}.000"
        stalls.append(_look(settings, start, clock, 5))
    health = check_health(settings, clock)

    assert stalls[23] is None
    assert stalls[25] is not None
    assert stalls[25].requests == 1
    assert 120 <= stalls[25].still_s <= 128
    assert health.result == "failure"
    assert health.message.startswith("The engine is stuck: 1 request runs and no token")


def test_tokens_end_the_stall(settings, engine):
    """An engine that moves again is well again."""
    start, clock = _start(settings, engine), FakeClock()
    _look(settings, start, clock, 125)
    engine.tokens += 1

    assert _look(settings, start, clock, 5) is None
    assert check_health(settings, clock).result == "success"


def test_under_startos_the_health_check_itself_looks(settings, engine):
    """Where no keeper runs, health checks alone find it, asked once a second."""
    settings = replace(settings, profile=Profile.STARTOS)
    _start(settings, engine)
    clock = FakeClock()
    results = []
    for _ in range(121):
        results.append(check_health(settings, clock).result)
        clock.seconds += 1

    assert set(results[:120]) == {"success"}
    assert results[120] == "failure"


def test_a_full_disk_hides_no_readiness(settings, engine, monkeypatch):
    """A record that cannot be written leaves the rest of the health check alone."""
    settings = replace(settings, profile=Profile.STARTOS)
    _start(settings, engine)

    def refuse(*_: object) -> None:
        raise StateWriteFailed("the disk is full")

    monkeypatch.setattr(atomic, "write_file", refuse)

    assert check_health(settings, FakeClock()).result == "success"


def test_a_look_that_fails_says_nothing(settings, engine):
    """An API server that answers late is no stall, however often."""
    start, clock = _start(settings, engine), FakeClock()
    engine.is_silent = True

    assert _look(settings, start, clock, 600) is None
    assert not settings.progress_file.exists()


def test_a_damaged_key_says_nothing(settings, engine):
    """Without a key nothing can be asked, and nothing is claimed."""
    settings.credentials_file.write_text("garbage")

    assert watch_progress(settings, _start(settings, engine), FakeClock()) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("progress"),
        lambda record: record.update(started_s=1.0),
        lambda record: record.update(boot_id="boot-0"),
        lambda record: record.update(timeout_s="soon"),
        lambda record: record["progress"]["cores"][0]["sample"].pop("steps"),
        lambda record: record["progress"]["cores"][0].pop("moved_s"),
        lambda record: record["progress"].update(waiting={"requests": 1}),
        lambda record: record["progress"].pop("waiting"),
    ],
)
def test_a_record_of_something_else_does_not_count(settings, engine, damage):
    """A damaged record, or one about another start, reads as none."""
    start, clock = _start(settings, engine), FakeClock()
    _look(settings, start, clock, 120)
    record = json.loads(settings.progress_file.read_text())
    damage(record)
    settings.progress_file.write_text(json.dumps(record))

    assert remembered_stall(settings, start, clock) is None


def test_an_old_record_does_not_count(settings, engine):
    """What nobody has looked at for half a minute is not told as if it were now."""
    start, clock = _start(settings, engine), FakeClock()
    _look(settings, start, clock, 120)
    clock.seconds += 31

    assert remembered_stall(settings, start, clock) is None


def test_idling_writes_nothing(settings, engine):
    """An idle engine's record is written once, and never again until work comes."""
    start, clock = _start(settings, engine), FakeClock()
    engine.requests = 0
    _look(settings, start, clock, 5)
    first = settings.progress_file.read_text()
    _look(settings, start, clock, 60)
    idle = settings.progress_file.read_text()
    engine.requests = 1
    _look(settings, start, clock, 5)

    assert idle == first
    assert settings.progress_file.read_text() != first


def test_the_record_is_for_the_owner_alone(settings, engine):
    """The record has mode 0600 and does not hold the key."""
    _look(settings, _start(settings, engine), FakeClock(), 5)

    key = credentials.load_key(settings)
    assert settings.progress_file.stat().st_mode & 0o777 == 0o600
    assert key
    assert key not in settings.progress_file.read_text()


@pytest.mark.parametrize(
    ("variables", "timeout_s"),
    [
        ({"VLLM_PKG_VARIANT": "nvidia"}, 120.0),
        ({"VLLM_PKG_VARIANT": "rocm"}, 120.0),
        ({"VLLM_PKG_VARIANT": "cpu"}, 900.0),
        ({"VLLM_PKG_VARIANT": "cpu", "VLLM_PKG_STALL_TIMEOUT_S": "30"}, 30.0),
        ({"VLLM_PKG_STALL_TIMEOUT_S": "0"}, 0.0),
    ],
)
def test_the_timeout_follows_the_machine(tmp_path, variables, timeout_s):
    """A step takes longer on a processor; what is set wins."""
    assert stall_timeout_s(make_settings(tmp_path, **variables)) == timeout_s


def test_a_machine_of_unknown_variant_is_looked_at(tmp_path):
    """Without a variant the machine decides: no GPU, so the longer time."""
    machine = tmp_path / "machine.json"
    machine.write_text('{"gpus": [], "system_memory_gib": 8}')
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(machine))

    assert stall_timeout_s(settings) == 900.0


def test_zero_turns_it_off(settings, engine):
    """With a timeout of 0 nothing is asked and nothing is judged."""
    settings = replace(settings, stall_timeout_s=0.0)
    start, clock = _start(settings, engine), FakeClock()

    assert _look(settings, start, clock, 600) is None
    assert not settings.progress_file.exists()


def test_an_answer_of_another_status_is_no_metrics(settings):
    """What the guard refuses is not read as counters."""
    refusal = send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    with ScriptedServer(refusal) as server:
        start = records.StartRecord(PROCESS, 900.0, "127.0.0.1", server.port, "x")

        assert watcher.read_metrics(settings, start) is None


def test_a_busy_engine_is_looked_at_again_soon(settings, engine):
    """The record says when; a time that is over has been missed, and means no hurry."""
    start, clock = _start(settings, engine), FakeClock()
    before = next_look_s(settings, start, clock)
    watch_progress(settings, start, clock)
    soon_s = next_look_s(settings, start, clock)
    clock.seconds += 4

    assert before is None
    assert soon_s == 1004.0
    assert next_look_s(settings, start, clock) is None


def test_an_engine_that_is_not_judged_is_in_no_hurry(settings, engine):
    """Idle, or with its limit switched off, it is looked at with the host's ticks."""
    start, clock = _start(settings, engine), FakeClock()
    engine.requests = 0
    watch_progress(settings, start, clock)
    idle = next_look_s(settings, start, clock)
    engine.requests = 1
    watch_progress(settings, start, clock)
    record = json.loads(settings.progress_file.read_text()) | {"timeout_s": 0}
    settings.progress_file.write_text(json.dumps(record))

    assert idle is None
    assert next_look_s(settings, start, clock) is None

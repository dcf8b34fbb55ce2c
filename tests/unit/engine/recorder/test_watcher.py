"""What the recorder writes down while the engine starts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from support.start_logs import read_start_log
from vllm_pkg.engine.phases import Phase
from vllm_pkg.engine.recorder.history import StartRun, add_run, read_runs
from vllm_pkg.engine.recorder.measured import MeasuredMemory
from vllm_pkg.engine.recorder.watcher import StartWatcher
from vllm_pkg.state import locks, records
from vllm_pkg.state.identity import ProcessIdentity

START = records.StartRecord(
    ProcessIdentity(4, 5, "boot-1"), 1000.0, "127.0.0.1", 1, "tiny", key="key"
)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with a start that began at 1000 s."""
    settings = make_settings(tmp_path)
    records.write_record(settings.start_file, START)
    return settings


@pytest.fixture(name="ready")
def ready_fixture(monkeypatch):
    """Let a test say when the engine answers, in place of asking a port."""
    answers: list[bool] = []
    monkeypatch.setattr(
        "vllm_pkg.engine.recorder.watcher.ReadyProbe.look", lambda *_: bool(answers)
    )
    return answers


def replay(watcher, name):
    """Feed a recorded log; return the record after each line."""
    seen = []
    for at_s, line in read_start_log(name):
        watcher.clock = FakeClock(1000.0 + at_s)
        watcher.feed(f"{line}\n".encode())
        watcher.look()
        seen.append(records.read_start(watcher.settings))
    return seen


def test_a_recorded_start_is_told_as_it_goes(settings, ready):
    """Phase and percent follow the log, never go back, and end at ready."""
    watcher = StartWatcher(settings, START, FakeClock())
    seen = replay(watcher, "cpu")
    ready.append(True)
    watcher.clock = FakeClock(1219.0)
    watcher.look()
    end = records.read_start(settings)

    assert list(dict.fromkeys(item.phase for item in seen)) == [
        "starting",
        "load",
        "compile",
        "warm-up",
    ]
    percents = [item.percent for item in seen]
    assert percents == sorted(percents)
    assert percents[-1] == 99.0
    assert [item.eta_s for item in seen] == [None] * len(seen)
    assert end is not None
    assert (end.phase, end.percent, end.phase_percent, end.eta_s) == (
        *("ready", 100.0),
        *(None, 0.0),
    )
    assert end.ready_after_s == 219.0
    assert end.phases == (
        ("starting", 139.36),
        ("load", 2.94),
        ("compile", 64.45),
        ("warm-up", 12.25),
    )


def test_the_second_start_has_a_time_that_is_left(settings, ready):
    """What the first one took and measured is kept, and promises the second one's."""
    first = StartWatcher(settings, START, FakeClock())
    replay(first, "gpu")
    ready.append(True)
    first.clock = FakeClock(1090.0)
    first.look()
    ready.clear()
    records.write_record(settings.start_file, START)
    second = StartWatcher(settings, START, FakeClock())

    seen = replay(second, "gpu")

    (run,) = read_runs(settings, "key")
    assert run.memory == MeasuredMemory(15.2683, 52.31, 380_912)
    assert dict(run.phases)[Phase.LOAD] == pytest.approx(20.0)
    # At 9 s of 90 s; at 45.5 s the bar says that loading ends.
    assert (seen[0].percent, seen[0].eta_s) == (10.0, 81.0)
    assert seen[7].eta_s == pytest.approx(40.0)
    assert seen[-1].eta_s == pytest.approx(5.5)


def test_a_download_before_it_counts(settings, ready):
    """The engine's own part begins where the daemon's download ended."""
    run = StartRun("t", ((Phase.STARTING, 100.0),), MeasuredMemory())
    add_run(settings, "key", "m", run)
    fetched = replace(START, phases=(("download", 300.0),), percent=74.0)
    records.write_record(settings.start_file, fetched)
    watcher = StartWatcher(settings, fetched, FakeClock(1350.0))

    watcher.look()
    start = records.read_start(settings)

    assert start is not None
    # 300 s of download and 50 of 100 s.
    assert (start.phase, start.percent, start.eta_s) == ("starting", 87.5, 50.0)
    assert start.phases == (("download", 300.0),)
    assert ready == []


def test_it_looks_twice_a_second_until_it_is_ready(settings, ready):
    """Then it has nothing to do any more, and what comes is not read."""
    clock = FakeClock()
    watcher = StartWatcher(settings, START, clock)
    first = watcher.wait_s()
    watcher.feed(b"")
    after = watcher.wait_s()
    clock.seconds += 9
    late = watcher.wait_s()
    ready.append(True)
    watcher.look()
    watcher.feed(b"Starting to load model x...\n")

    assert (first, after, late) == (0.0, 0.5, 0.0)
    assert watcher.wait_s() is None
    assert watcher.is_done


def test_a_mark_of_another_process_stays(settings, ready):
    """That the start is to be ended is not undone by telling how far it is."""
    watcher = StartWatcher(settings, START, FakeClock())
    records.update_start(
        settings, START.process, lambda now: replace(now, is_stop_intended=True)
    )

    watcher.feed(b"Starting to load model x...\n")
    start = records.read_start(settings)

    assert start is not None
    assert (start.phase, start.is_stop_intended) == ("load", True)
    assert ready == []


def test_the_record_of_a_later_start_is_left_alone(settings, ready):
    """A recorder that outlives its start writes into no other's record."""
    other = replace(START, process=ProcessIdentity(6, 7, "boot-1"))
    records.write_record(settings.start_file, other)
    ready.append(True)

    StartWatcher(settings, START, FakeClock()).look()

    assert records.read_start(settings) == other


def test_a_record_that_cannot_be_written_ends_nothing(settings, ready, monkeypatch):
    """With the lock held by another, or on a full disk, it goes on and looks again."""
    monkeypatch.setattr("vllm_pkg.engine.recorder.watcher.LOCK_TIMEOUT_S", 0.01)
    watcher = StartWatcher(settings, START, FakeClock())
    with locks.locked(settings.start_lock_file):
        watcher.look()
        locked = records.read_start(settings)
    settings.start_history_file.mkdir()
    ready.append(True)

    watcher.look()
    start = records.read_start(settings)

    assert locked == START
    assert start is not None
    assert start.phase == "ready"


def test_a_start_without_a_key_is_not_remembered(settings, ready):
    """Where nobody said which arguments these are, nothing is learned."""
    ready.append(True)

    StartWatcher(settings, replace(START, key=""), FakeClock()).look()

    assert not settings.start_history_file.exists()


def test_readiness_ends_an_earlier_failure(settings, ready):
    """Its record goes when the engine answers, and not before."""
    failure = records.FailureRecord(
        *("t", 999.0, "boot-1", "It broke.", "Do.", 1), is_final=False, starts=1
    )
    records.write_record(settings.failure_file, failure)
    watcher = StartWatcher(settings, START, FakeClock(1001.0))
    watcher.look()
    kept = records.read_failure(settings)
    ready.append(True)
    watcher.look()

    assert kept == failure
    assert records.read_failure(settings) is None

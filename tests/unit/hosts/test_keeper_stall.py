"""What the keeper does about a stuck engine, and about one that still loads."""

from __future__ import annotations

from support.keeper_world import ALIVE, let_it_be_stuck, world_fixture
from vllm_pkg.engine.phases import Phase
from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.health.checker import (
    LOADING,
    TIMED_OUT,
    Api,
    Engine,
    HealthResult,
    Observation,
    Result,
    check_api,
)
from vllm_pkg.health.progress import Stall
from vllm_pkg.hosts.standalone import keeper as keeper_module
from vllm_pkg.hosts.standalone.keeper import IDLE_WAIT_S, Keeper
from vllm_pkg.hosts.standalone.states import EngineState
from vllm_pkg.state import records

__all__ = ["world_fixture"]


def test_t19_a_stuck_engine_is_ended_and_started_once(world, guarantee):
    """T19: it is told to stop once, started after it has ended, and left alone then."""
    let_it_be_stuck(world)
    world.tick(10)
    told_before_its_end = list(world.told)
    world.event("STOPPING")
    world.event("STOPPED")
    world.stall = None
    wait_s = world.keeper.wait_s()
    world.tick()
    world.event("STARTING")
    world.event("RUNNING")
    world.tick(100)
    guarantee(
        "T19",
        "A stuck engine is restarted exactly once",
        tried=1,
        violations=int(world.told != ["stop", "start"]),
        unit="stalls, on a fake clock",
        control="before its end there is no start",
    )

    assert told_before_its_end == ["stop"]
    assert wait_s == 0.0
    assert world.told == ["stop", "start"]
    assert world.keeper.state is EngineState.READY


def test_the_stall_is_recorded_as_the_cause(world, capsys):
    """The record of the failure says what was seen, and where the evidence is."""
    log = world.keeper.settings.logs_dir / "engine.log"
    log.write_text("one\ntwo\n")
    let_it_be_stuck(world)
    failure = world.failure()
    start = records.read_start(world.keeper.settings)

    assert failure.summary == (
        "The engine is stuck: 3 requests run and no token came out for 125 s."
    )
    assert failure.hint.startswith("It is started again in 1 s. What was found is kept")
    assert (failure.exit_code, failure.is_final, failure.starts) == (None, False, 1)
    assert failure.log_tail == ("one", "two")
    assert start is not None
    assert start.is_stop_intended
    assert "The engine is stuck: 3 requests" in capsys.readouterr().err


GIB = 1024**3


def _first_start(world):
    """Return what health sees of a start: 50 min of download, 10 of load."""
    now_s = world.clock.now_s()
    elapsed_s = now_s - 1000.0
    share = min(elapsed_s / 3000, 1.0)
    start = records.StartRecord(
        *(ALIVE, 1000.0, "127.0.0.1", 1, "a/b"),
        phase=Phase.DOWNLOAD if share < 1 else Phase.LOAD,
        phase_percent=(elapsed_s - 3000) / 6,
        repository="a/b",
        bytes_done=int(50 * GIB * share),
        bytes_total=50 * GIB,
        bytes_per_s=17.9e6,
        updated_s=now_s,
    )
    is_ready = elapsed_s > 3600
    api = Api.READY if is_ready else Api.SILENT
    seen = Observation(
        *(True, True, Engine.RUNNING, elapsed_s, api), start=start, now_s=now_s
    )
    return check_api(seen)


def test_t18_a_load_of_an_hour_is_not_disturbed(world, monkeypatch, guarantee):
    """T18: a load is not restarted, and health tells all the time how far it is."""
    world.stall = Stall(1, 9999.0)
    told: list[HealthResult] = []

    def check(_: object) -> HealthResult:
        told.append(_first_start(world))
        return told[-1]

    monkeypatch.setattr(keeper_module, "check_health", check)
    world.tick(60 * 12)
    looks_while_loading = world.looks
    told_while_loading = list(world.told)
    # At 35 minutes health becomes a failure; ending the load is not ours to decide.
    loading, late = told[: 35 * 12 - 1], told[35 * 12 - 1 :]
    world.tick(2)
    ready = told[len(loading) + len(late) :]
    begins = [result.message.startswith(LOADING) for result in loading]
    begins += [result.message.startswith(TIMED_OUT) for result in late]
    results = [{one.result for one in part} for part in (loading, late, ready)]
    texts = len({result.message for result in told})
    guarantee(
        "T18",
        "An engine that loads for an hour is not restarted, and health tells how far it"
        " is, from 35 minutes on as a failure",
        tried=60 * 12,
        violations=len(told_while_loading) + begins.count(False),
        unit=f"looks of 5 s, on a fake clock, with {texts} different texts",
        control="the same stall after the load is acted on",
    )

    assert told_while_loading == []
    assert looks_while_loading == 0
    assert all(begins)
    assert results == [{Result.LOADING}, {Result.FAILURE}, {Result.SUCCESS}]
    assert loading[0].message.endswith(
        " Downloading a/b: 85 MiB of 50.0 GiB (0 %), 17.9 MB/s."
    )
    assert late[0].message == (
        f"{TIMED_OUT} Downloading a/b: 35.0 GiB of 50.0 GiB (70 %), 17.9 MB/s."
    )
    assert late[-1].message == TIMED_OUT
    # A line about the download changes with each tenth of a GiB.
    assert texts > 500
    assert world.told == ["stop"]


def test_evidence_that_cannot_be_kept_delays_nothing(world, monkeypatch, capsys):
    """A full disk costs the evidence, and not the restart."""

    def refuse(*_: object) -> None:
        raise StateWriteFailed("the disk is full")

    monkeypatch.setattr(keeper_module, "keep_evidence", refuse)
    monkeypatch.setattr(records, "write_record", refuse)
    let_it_be_stuck(world)
    world.event("STOPPED")

    assert world.told == ["stop"]
    assert world.keeper.wait_s() == 1.0
    assert "the disk is full" in capsys.readouterr().err


def test_an_engine_that_ends_before_it_is_told_to(world, capsys):
    """When it has ended by itself meanwhile, it is started once as after a crash."""
    world.keeper.supervisor.refuses = True
    let_it_be_stuck(world)
    world.event("EXITED")
    world.tick(2)

    assert "NOT_RUNNING" in capsys.readouterr().err
    assert world.told == ["start"]


def test_a_busy_engine_is_looked_at_when_it_is_time(world, monkeypatch):
    """Between two ticks there is a look when one is due, and none before it."""
    due = iter([1016.0])
    monkeypatch.setattr(keeper_module, "next_look_s", lambda *_: next(due, None))
    world.tick(2)
    wait_s = world.keeper.wait_s()
    world.tick()
    world.keeper.look_if_due()
    early_looks = world.looks
    world.clock.seconds = 1016.0
    world.keeper.look_if_due()
    world.keeper.look_if_due()

    assert wait_s == 6.0
    assert early_looks == 1
    assert world.looks == 2
    assert world.keeper.wait_s() == IDLE_WAIT_S


def test_a_look_that_fails_is_not_tried_without_end(world, monkeypatch):
    """A full disk, or a restart by a person, leaves the next look to the ticks."""
    monkeypatch.setattr(keeper_module, "next_look_s", lambda *_: 1012.0)
    world.tick(2)

    def refuse(*_: object) -> None:
        raise StateWriteFailed("the disk is full")

    monkeypatch.setattr(keeper_module, "watch_progress", refuse)
    world.clock.seconds = 1012.0
    world.keeper.look_if_due()

    assert world.keeper.wait_s() == IDLE_WAIT_S


def test_an_engine_that_is_being_restarted_by_a_person_is_not_watched(world):
    """Where a stop is intended, what looks stuck is left to it."""
    world.tick()
    start = records.StartRecord(
        ALIVE, 900.0, "127.0.0.1", 1, "x", is_stop_intended=True
    )
    records.write_record(world.keeper.settings.start_file, start)
    world.stall = Stall(1, 500.0)
    world.tick(3)

    assert world.told == []


def test_a_keeper_that_was_restarted_finds_its_way(world):
    """A new keeper knows nothing, learns that the engine is ready, and watches it."""
    settings, supervisor = world.keeper.settings, world.keeper.supervisor
    world.keeper = Keeper(settings, supervisor, world.clock)
    let_it_be_stuck(world)

    assert world.told == ["stop"]

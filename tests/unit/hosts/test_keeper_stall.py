"""What the keeper does about a stuck engine, and about one that still loads."""

from __future__ import annotations

import os
import xmlrpc.client
from dataclasses import dataclass, field

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.health.checker import LOADING, TIMED_OUT, HealthResult, Result
from vllm_pkg.health.progress import Stall
from vllm_pkg.hosts.standalone import keeper as keeper_module
from vllm_pkg.hosts.standalone.keeper import IDLE_WAIT_S, Keeper
from vllm_pkg.hosts.standalone.states import EngineState
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity, started_ticks

ENGINE = {"processname": "engine"}
ALIVE = ProcessIdentity(os.getpid(), started_ticks(os.getpid()) or 0, "boot-1")


@dataclass
class FakeSupervisor:
    """A fake of supervisord's interface, which counts what it is told."""

    refuses: bool = False
    told: list[str] = field(default_factory=list)

    def getProcessInfo(self, name: str) -> dict[str, object]:  # noqa: N802
        """Return an exit status."""
        return {"name": name, "exitstatus": 1}

    def startProcess(self, *_: object) -> bool:  # noqa: N802
        """Count a start."""
        self.told.append("start")
        return True

    def stopProcess(self, *_: object) -> bool:  # noqa: N802
        """Count a stop, or refuse it."""
        if self.refuses:
            raise xmlrpc.client.Fault(70, "NOT_RUNNING")
        self.told.append("stop")
        return True


@dataclass
class World:
    """A keeper, and what it finds when it looks."""

    keeper: Keeper
    clock: FakeClock
    result: Result = Result.SUCCESS
    message: str = "x"
    stall: Stall | None = None
    looks: int = 0

    def look(self, *_: object) -> Stall | None:
        """Count a look at the engine's counters."""
        self.looks += 1
        return self.stall

    def event(self, name: str) -> None:
        """Let supervisord tell something of the engine."""
        self.keeper.on_event(f"PROCESS_STATE_{name}", ENGINE)

    def tick(self, count: int = 1) -> None:
        """Let so many of supervisord's ticks pass."""
        for _ in range(count):
            self.clock.seconds += 5
            self.keeper.on_event("TICK_5", {"when": "1"})
            self.keeper.start_if_due()

    @property
    def told(self) -> list[str]:
        """What supervisord was told."""
        told: list[str] = self.keeper.supervisor.told
        return told

    def failure(self) -> records.FailureRecord:
        """Return the record of the failure, which must be there."""
        failure = records.read_failure(self.keeper.settings)
        assert failure is not None
        return failure


@pytest.fixture(name="world")
def world_fixture(tmp_path, monkeypatch):
    """An engine that supervisord has started, and whatever a test lets it show."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    clock = FakeClock()
    world = World(Keeper(settings, FakeSupervisor(), clock), clock)

    def check(_: object) -> HealthResult:
        return HealthResult(world.result, world.message)

    monkeypatch.setattr(keeper_module, "check_health", check)
    monkeypatch.setattr(keeper_module, "watch_progress", world.look)
    start = records.StartRecord(ALIVE, 900.0, "127.0.0.1", 1, "x")
    records.write_record(settings.start_file, start)
    world.event("STARTING")
    world.event("RUNNING")
    return world


def _let_it_be_stuck(world):
    world.tick()
    world.stall = Stall(3, 125.0)
    world.tick()


def test_t19_a_stuck_engine_is_ended_and_started_once(world, guarantee):
    """T19: it is told to stop once, started after it has ended, and left alone then."""
    _let_it_be_stuck(world)
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
    _let_it_be_stuck(world)
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


def test_t18_a_load_of_an_hour_is_not_disturbed(world, guarantee):
    """T18: while it loads it is neither watched for stalls nor restarted."""
    world.stall = Stall(1, 9999.0)
    world.result, world.message = Result.LOADING, LOADING
    world.tick(35 * 12)
    # At 35 minutes health becomes a failure; ending the load is not ours to decide.
    world.result, world.message = Result.FAILURE, TIMED_OUT
    world.tick(25 * 12)
    looks_while_loading = world.looks
    told_while_loading = list(world.told)
    world.result, world.message = Result.SUCCESS, "ready"
    world.tick(2)
    guarantee(
        "T18",
        "An engine that loads for an hour is not restarted",
        tried=60 * 12,
        violations=len(told_while_loading),
        unit="looks of 5 s, on a fake clock",
        control="the same stall after the load is acted on",
    )

    assert told_while_loading == []
    assert looks_while_loading == 0
    assert world.told == ["stop"]


def test_evidence_that_cannot_be_kept_delays_nothing(world, monkeypatch, capsys):
    """A full disk costs the evidence, and not the restart."""

    def refuse(*_: object) -> None:
        raise StateWriteFailed("the disk is full")

    monkeypatch.setattr(keeper_module, "keep_evidence", refuse)
    monkeypatch.setattr(records, "write_record", refuse)
    _let_it_be_stuck(world)
    world.event("STOPPED")

    assert world.told == ["stop"]
    assert world.keeper.wait_s() == 1.0
    assert "the disk is full" in capsys.readouterr().err


def test_an_engine_that_ends_before_it_is_told_to(world, capsys):
    """When it has ended by itself meanwhile, it is started once as after a crash."""
    world.keeper.supervisor.refuses = True
    _let_it_be_stuck(world)
    world.event("EXITED")
    world.tick(2)

    assert "NOT_RUNNING" in capsys.readouterr().err
    assert world.told == ["start"]


def test_a_person_who_stops_it_is_obeyed(world):
    """A stop by a person is no stall: nothing is started."""
    world.tick()
    world.event("STOPPING")
    world.event("STOPPED")
    world.tick(100)

    assert world.told == []
    assert world.keeper.state is EngineState.STOPPED
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


def test_without_a_model_it_is_unconfigured(world):
    """A daemon that idles is neither loading nor ready, until a model is chosen."""
    world.result = Result.DISABLED
    world.tick(2)
    idle = world.keeper.state
    world.result = Result.SUCCESS
    world.tick()

    assert idle is EngineState.UNCONFIGURED
    assert world.keeper.state is EngineState.READY


def test_a_keeper_that_was_restarted_finds_its_way(world):
    """A new keeper knows nothing, learns that the engine is ready, and watches it."""
    settings, supervisor = world.keeper.settings, world.keeper.supervisor
    world.keeper = Keeper(settings, supervisor, world.clock)
    _let_it_be_stuck(world)

    assert world.told == ["stop"]


def test_an_event_that_cannot_come_is_told(world, capsys):
    """The keeper says that it is not sure, and goes on."""
    world.event("STOPPED")

    assert "state is not clear" in capsys.readouterr().err
    assert world.keeper.state is EngineState.UNKNOWN


def test_t12_a_crash_loop_ends(world, guarantee):
    """T12: delays grow to a cap, the tenth failed start is the last one."""
    waits = []
    for _ in range(40):
        world.event("EXITED")
        if world.keeper.state is EngineState.FATAL:
            break
        waits.append(world.keeper.wait_s())
        world.clock.seconds += 60
        world.keeper.start_if_due()
        world.event("STARTING")
        world.event("RUNNING")
    world.result = Result.FAILURE
    world.tick(1000)
    wrong = int(waits != [1, 2, 4, 8, 16, 32, 60, 60, 60])
    guarantee(
        "T12",
        "A crash loop slows down, and ends",
        tried=len(waits) + 1,
        violations=wrong + int(world.told.count("start") != 9),
        unit="failed starts",
        control="after a start by a person the count begins anew",
    )

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert world.told == ["start"] * 9
    assert world.failure().is_final
    assert world.keeper.state is EngineState.FATAL


def test_t12_a_crash_after_four_minutes_starts_the_count_anew(world):
    """T12: an engine that had been ready is restarted after 1 s, each time."""
    waits = []
    for _ in range(20):
        world.tick(4 * 12)
        world.event("EXITED")
        waits.append(world.keeper.wait_s())
        world.tick()
        world.event("STARTING")
        world.event("RUNNING")

    assert waits == [1.0] * 20

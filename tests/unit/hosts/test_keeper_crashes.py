"""What the keeper does about an engine that ends, and about one that a person ends."""

from __future__ import annotations

from support.keeper_world import ENDED, world_fixture
from vllm_pkg.engine import processes
from vllm_pkg.errors import EngineStopError
from vllm_pkg.health.checker import Result
from vllm_pkg.hosts.standalone.keeper import IDLE_WAIT_S
from vllm_pkg.hosts.standalone.states import EngineState
from vllm_pkg.state import records

__all__ = ["world_fixture"]


def test_what_an_ended_engine_left_is_ended_at_once(world, monkeypatch, capsys):
    """It is ended before the next start is planned, and a failure of that is told."""
    settings = world.keeper.settings
    told = []

    def refuse(instance: str) -> int:
        told.append(instance)
        raise EngineStopError("processes of the engine survived SIGKILL: 7")

    monkeypatch.setattr(processes, "end_orphans", refuse)
    world.event("EXITED")
    while_it_lives = list(told)
    start = records.StartRecord(ENDED, 900.0, "127.0.0.1", 1, "x")
    records.write_record(settings.start_file, start)
    world.event("STARTING")
    world.event("EXITED")

    assert while_it_lives == []
    assert told == [processes.instance_id(settings.main)]
    assert "survived SIGKILL: 7" in capsys.readouterr().err
    assert world.keeper.state is EngineState.BACKOFF


def test_a_person_who_stops_it_is_obeyed(world):
    """A stop by a person is no stall: nothing is started."""
    world.tick()
    world.event("STOPPING")
    world.event("STOPPED")
    world.tick(100)

    assert world.told == []
    assert world.keeper.state is EngineState.STOPPED
    assert world.keeper.wait_s() == IDLE_WAIT_S


def test_without_a_model_it_is_unconfigured(world):
    """A daemon that idles is neither loading nor ready, until a model is chosen."""
    world.result = Result.DISABLED
    world.tick(2)
    idle = world.keeper.state
    world.result = Result.SUCCESS
    world.tick()

    assert idle is EngineState.UNCONFIGURED
    assert world.keeper.state is EngineState.READY


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


def _crash_after(world, minutes):
    """Let the engine be ready for so long, and end; return the delay, if any."""
    world.tick(minutes * 12 + 1)
    world.event("EXITED")
    if world.keeper.state is EngineState.FATAL:
        return None
    wait_s = world.keeper.wait_s()
    world.clock.seconds += 66
    world.keeper.start_if_due()
    world.event("STARTING")
    world.event("RUNNING")
    return wait_s


def test_t12_an_engine_that_dies_every_four_minutes_is_given_up_on(world, guarantee):
    """T12: that it had been ready does not make a crash loop of it less of one."""
    world.keeper.draw = iter([0.0, 1.0] * 5).__next__
    waits = [_crash_after(world, 4) for _ in range(10)]
    world.tick(1000)
    starts = world.told.count("start")
    bases = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    delays = [wait_s for wait_s in waits if wait_s is not None]
    wrong = [
        wait_s
        for wait_s, base_s in zip(delays, bases, strict=True)
        if not base_s <= wait_s <= base_s * 1.101
    ]
    guarantee(
        "T12",
        "An engine that becomes ready and dies after four minutes is a crash loop, too",
        tried=len(waits),
        violations=len(wrong) + int(starts != 9) + int(not world.failure().is_final),
        unit="ends after four minutes, on a fake clock",
        control="after ten minutes of readiness the count begins anew",
    )

    assert wrong == []
    assert waits[-1] is None
    assert starts == 9
    assert world.failure().is_final


def test_t12_a_crash_after_ten_minutes_starts_the_count_anew(world):
    """T12: an engine that had been ready for long is restarted after 1 s, each time."""
    assert [_crash_after(world, 10) for _ in range(20)] == [1.0] * 20

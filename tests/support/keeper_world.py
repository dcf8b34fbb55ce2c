"""A standalone host's keeper, and a world that shows it what a test wants."""

from __future__ import annotations

import os
import xmlrpc.client
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.health.progress import Stall
from vllm_pkg.hosts.standalone import keeper as keeper_module
from vllm_pkg.hosts.standalone.keeper import Keeper
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity, started_ticks

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = {"processname": "engine"}
ENDED = ProcessIdentity(os.getpid(), 1, "boot-1")
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
def world_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """An engine that supervisord has started, and whatever a test lets it show."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    clock = FakeClock()
    world = World(Keeper(settings, FakeSupervisor(), clock, draw=lambda: 0.0), clock)

    def check(_: object) -> HealthResult:
        return HealthResult(world.result, world.message)

    monkeypatch.setattr(keeper_module, "check_health", check)
    monkeypatch.setattr(keeper_module, "watch_progress", world.look)
    start = records.StartRecord(ALIVE, 900.0, "127.0.0.1", 1, "x")
    records.write_record(settings.start_file, start)
    world.event("STARTING")
    world.event("RUNNING")
    return world


def let_it_be_stuck(world: World) -> None:
    """Let a look find it at work, and the next one find it stuck."""
    world.tick()
    world.stall = Stall(3, 125.0)
    world.tick()

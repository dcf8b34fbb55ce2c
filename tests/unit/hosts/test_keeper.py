"""The keeper's decisions, event by event, over a fake of supervisord's interface."""

from __future__ import annotations

import xmlrpc.client
from dataclasses import dataclass, field

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.hosts.standalone import keeper as keeper_module
from vllm_pkg.hosts.standalone.backoff import FailedStarts
from vllm_pkg.hosts.standalone.keeper import IDLE_WAIT_S, Keeper
from vllm_pkg.state import records

ENGINE = {"processname": "engine"}


@dataclass
class FakeSupervisor:
    """A fake of supervisord's interface; the real one runs in test_supervision."""

    exit_status: int = 1
    refuses: bool = False
    started: list[tuple[object, ...]] = field(default_factory=list)

    def getProcessInfo(self, name: str) -> dict[str, object]:  # noqa: N802
        """Return the exit status the test has set."""
        return {"name": name, "exitstatus": self.exit_status}

    def startProcess(self, *arguments: object) -> bool:  # noqa: N802
        """Count a start, or refuse it."""
        if self.refuses:
            raise xmlrpc.client.Fault(60, "ALREADY_STARTED")
        self.started.append(arguments)
        return True


@pytest.fixture(name="keeper")
def keeper_fixture(tmp_path):
    """A keeper whose clock and supervisord a test moves."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    return Keeper(settings, FakeSupervisor(), FakeClock(), draw=lambda: 0.0)


def _exit(keeper, code):
    keeper.supervisor.exit_status = code
    keeper.on_event("PROCESS_STATE_EXITED", ENGINE)


def test_crash_is_restarted_after_its_delay(keeper, capsys):
    """A crash is recorded and started again one second later, not before."""
    log = keeper.settings.logs_dir / "engine.log"
    log.write_text("=== vllm-pkg: engine start x ===\nValueError: no\n")

    _exit(keeper, 1)
    keeper.start_if_due()
    too_early = list(keeper.supervisor.started)
    wait_s = keeper.wait_s()
    keeper.clock.seconds += 1
    keeper.start_if_due()

    assert too_early == []
    assert wait_s == 1.0
    assert keeper.supervisor.started == [("engine", False)]
    failure = records.read_failure(keeper.settings)
    assert failure is not None
    assert failure.summary == "The engine ended with exit code 1: ValueError: no."
    assert failure.hint.startswith("It is started again in 1 s.")
    assert (failure.exit_code, failure.is_final, failure.starts) == (1, False, 1)
    assert "started again in 1 s" in capsys.readouterr().err


def test_second_crash_waits_longer(keeper):
    """A restart of the keeper's own does not reset the delays."""
    _exit(keeper, 1)
    keeper.clock.seconds += 1
    keeper.start_if_due()
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    _exit(keeper, 1)

    assert keeper.wait_s() == 2.0


def test_start_by_a_person_resets_the_delays(keeper):
    """After a start that was not the keeper's, the count begins anew."""
    for _ in range(3):
        _exit(keeper, 1)
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    waiting = keeper.wait_s()
    _exit(keeper, 1)

    assert waiting == IDLE_WAIT_S
    assert keeper.wait_s() == 1.0


@pytest.mark.parametrize("code", [2, 3, 73, 74, 77, 78])
def test_permanent_failure_is_given_up_on(keeper, code, capsys):
    """A permanent failure is told and not started again."""
    _exit(keeper, code)

    failure = records.read_failure(keeper.settings)
    assert failure is not None
    assert failure.is_final
    assert keeper.due_s is None
    assert "It is not started again." in capsys.readouterr().err


def _start_and_fail(keeper, code):
    keeper.clock.seconds += keeper.wait_s()
    keeper.start_if_due()
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    _exit(keeper, code)


def test_a_network_that_is_down_is_waited_for(keeper):
    """Exit code 75 is tried again for as long as it takes, at most a minute apart."""
    waits = []
    _exit(keeper, 75)
    for _ in range(30):
        waits.append(keeper.wait_s())
        _start_and_fail(keeper, 75)

    failure = records.read_failure(keeper.settings)
    assert failure is not None
    assert (failure.is_final, failure.starts) == (False, 31)
    assert failure.hint.startswith("It is started again in 60 s.")
    assert waits == [1, 2, 4, 8, 16, 32, *[60] * 24]


def test_a_crash_loop_between_outages_ends(keeper):
    """The control: crashes are given up on at the tenth, whatever lies between."""
    _exit(keeper, 75)
    for _ in range(9):
        _start_and_fail(keeper, 1)
        _start_and_fail(keeper, 75)
    before = records.read_failure(keeper.settings)
    _start_and_fail(keeper, 1)

    after = records.read_failure(keeper.settings)
    assert before is not None
    assert after is not None
    assert (before.is_final, after.is_final) == (False, True)
    assert keeper.due_s is None


def test_stop_cancels_a_planned_start(keeper):
    """A stop on purpose cancels what was planned."""
    _exit(keeper, 1)
    keeper.on_event("PROCESS_STATE_STOPPED", ENGINE)

    assert keeper.due_s is None


def test_other_processes_do_not_matter(keeper):
    """An event of another process changes nothing."""
    keeper.on_event("PROCESS_STATE_EXITED", {"processname": "portal"})
    keeper.on_event("PROCESS_STATE_RUNNING", ENGINE)

    assert keeper.due_s is None
    assert keeper.failed == FailedStarts()


def test_refused_start_is_logged(keeper, capsys):
    """A start that supervisord refuses is told, and the keeper goes on."""
    _exit(keeper, 1)
    keeper.supervisor.refuses = True
    keeper.clock.seconds += 1
    keeper.start_if_due()

    assert "ALREADY_STARTED" in capsys.readouterr().err
    assert keeper.due_s is None
    assert keeper.is_own_start is False


def test_readiness_resets_and_clears_the_failure(keeper, monkeypatch):
    """A ready engine clears the record of the failures before it."""
    _exit(keeper, 1)
    keeper.on_event("PROCESS_STATE_STARTING", ENGINE)
    keeper.on_event("PROCESS_STATE_RUNNING", ENGINE)
    ready = HealthResult(Result.SUCCESS, "ready")
    monkeypatch.setattr(keeper_module, "check_health", lambda _: ready)
    keeper.on_event("TICK_5", {"when": "1"})
    keeper.on_event("TICK_5", {"when": "2"})

    assert keeper.was_ready
    assert keeper.failed == FailedStarts()
    assert records.read_failure(keeper.settings) is None


def test_damaged_state_does_not_end_the_keeper(keeper, capsys):
    """A damaged store is told in the log; the keeper goes on."""
    keeper.settings.store_file.write_text("garbage")

    keeper.on_event("TICK_5", {"when": "1"})

    assert "damaged" in capsys.readouterr().err
    assert keeper.was_ready is False

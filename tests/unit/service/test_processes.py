"""The programs of the host, as supervisord describes them."""

from __future__ import annotations

import pytest

from support.settings_factory import make_settings
from vllm_pkg.errors import HostNotRunning
from vllm_pkg.service import processes
from vllm_pkg.service.processes import Verb

RUNNING = {
    "name": "engine",
    "statename": "RUNNING",
    "pid": 42,
    "start": 100,
    "stop": 90,
    "now": 160,
    "exitstatus": 1,
}


def test_a_running_program_has_a_pid_and_an_uptime():
    """How it ended before does not matter while it runs."""
    program = processes.program_of(RUNNING)

    assert program.as_json() == {
        "name": "engine",
        "state": "running",
        "pid": 42,
        "uptimeS": 60,
        "exitCode": None,
        "allowed": ["start", "stop", "restart"],
        "refusals": {},
    }


@pytest.mark.parametrize(
    ("changes", "exit_code"),
    [
        ({"statename": "EXITED", "pid": 0}, 1),
        ({"statename": "FATAL", "pid": 0, "stop": 0}, None),
    ],
)
def test_a_program_that_does_not_run_tells_how_it_ended(changes, exit_code):
    """One that has never run has not ended."""
    program = processes.program_of(RUNNING | changes)

    assert program.pid is None
    assert program.uptime_s is None
    assert program.exit_code == exit_code


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("engine", set(Verb)),
        ("fetcher", set(Verb)),
        ("portal", {Verb.RESTART}),
        ("keeper", set()),
        ("something-else", set()),
    ],
)
def test_what_keeps_the_service_alive_is_protected(name, allowed):
    """Nobody stops the keeper, or cuts off the branch the portal sits on."""
    program = processes.program_of(RUNNING | {"name": name})

    assert set(Verb) - set(program.refused) == allowed
    assert all(program.refused.values())


def test_without_a_host_there_are_no_programs(tmp_path):
    """That is a state and no error; steering one is."""
    settings = make_settings(tmp_path)

    assert processes.list_programs(settings) == ()
    with pytest.raises(HostNotRunning):
        processes.steer(settings, "engine", Verb.START)

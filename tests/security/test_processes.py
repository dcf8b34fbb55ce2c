"""
Processes that cannot leak: T09, T10, T11 and T13, on engines that misbehave.

The engines are fakes, for what a real one cannot be made to do; the real one is killed
in test_real_engine, and fails for good in test_permanent_failures.
VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys

import pytest

from support.guarantees.plugin import is_long
from support.process_tree import start_tree
from support.service import free_port
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.engine.processes import MARKER

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

INSTANCE = "0123456789abcdef"
GRACE_S = 0.3
# Listens, and will not hear of an end.
STUBBORN = """\
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.alarm(120)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    signal.pause()
"""


def _times(quick: int, long: int) -> int:
    return long if is_long() else quick


def test_t09_an_engine_that_ignores_sigterm_is_ended(guarantee):
    """T09: it is gone a second after the time it was given, and its port is free."""
    tried = _times(5, 100)
    clock = BootClock()
    wrong = []
    for _ in range(tried):
        port = free_port()
        argv = [sys.executable, "-IS", "-c", STUBBORN, str(port)]
        with subprocess.Popen(argv, env={MARKER: INSTANCE}):
            wait_until(lambda: _is_open(port), 10, "the engine's port")  # noqa: B023
            began_s = clock.now_s()
            ended = processes.end_engine_processes(INSTANCE, GRACE_S)
            took_s = clock.now_s() - began_s
        in_time = GRACE_S <= took_s <= GRACE_S + 1.0
        if ended != 1 or not in_time or _is_open(port):
            wrong.append((ended, took_s))
    guarantee(
        "T09",
        "An engine that ignores SIGTERM is ended within its time and a second",
        tried=tried,
        violations=len(wrong),
        unit="stubborn engines",
        control="SIGTERM alone did not end them: each lived as long as it was given",
    )

    assert wrong == []


def test_t10_nothing_of_a_killed_engine_survives(tmp_path, guarantee):
    """T10: of three levels, each in a session of its own, none is left."""
    tried = _times(8, 200)
    survivors = 0
    for number in range(tried):
        tree = start_tree(
            tmp_path / str(number), INSTANCE, ignores_sigterm=number % 2 == 0
        )
        try:
            os.kill(tree.pids[number % 3], signal.SIGKILL)
            processes.end_engine_processes(INSTANCE, GRACE_S)
            survivors += len(tree.alive())
        finally:
            tree.close()
    alone = start_tree(tmp_path / "control", INSTANCE, ignores_sigterm=False)
    # The outermost is in the group of these tests; the others lead one of their own.
    leaders = [pid for pid in alone.pids if os.getpgid(pid) == pid]
    os.killpg(leaders[0], signal.SIGKILL)
    left_by_killpg = len(alone.alive())
    processes.end_engine_processes(INSTANCE, GRACE_S)
    guarantee(
        "T10",
        "Nothing of a killed engine lives when the next one starts",
        tried=tried,
        violations=survivors,
        unit="killed trees of three sessions",
        control="killing the process group alone leaves processes",
    )

    assert survivors == 0
    assert len(leaders) == 2
    assert left_by_killpg >= 1


def test_t11_a_killed_host_leaves_one_engine_at_most(host, guarantee):
    """T11: killed at any moment and started again, there is one engine, never two."""
    tried = _times(4, 200)
    moment = random.Random(11)  # noqa: S311  # the same moments each time
    most = 0
    clock = BootClock()
    for _ in range(tried):
        host.spawn()
        until_s = clock.now_s() + moment.uniform(0.2, 4.0)
        while clock.now_s() < until_s:
            most = max(most, len(host.engines()))
        assert host.process is not None
        host.process.kill()
        host.process.wait()
    host.spawn()
    health = host.wait_result("success")
    wait_until(lambda: len(host.engines()) == 1, 20, "just one engine")
    guarantee(
        "T11",
        "A host that is killed at any moment leaves no second engine",
        tried=tried,
        violations=int(most > 1),
        unit="kills at random moments",
        control="after the last start there is exactly one",
    )

    assert most <= 1
    assert health["message"] == "The vLLM API is ready"


@pytest.mark.parametrize("code", [2, 3, 73, 74, 77, 78])
def test_t13_a_permanent_failure_is_tried_once(host, guarantee, code):
    """T13: an exit code that means "not again" is believed."""
    host.fake.set_exits(code, code, code)
    host.spawn()
    failure = wait_until(host.failure, 30, "the record of the failure")
    guarantee(
        "T13",
        "A start that can only fail is tried once",
        tried=1,
        violations=int(host.starts() != 1) + int(not failure["is_final"]),
        unit=f"engines that end with {code}",
        control="an engine that ends with 1 is started again",
    )

    assert host.starts() == 1
    assert failure["is_final"] is True
    assert failure["hint"].startswith("It is not started again.")


def test_t13_the_control_is_tried_again(host):
    """The control of T13: an exit code of 1 is not permanent."""
    host.fake.set_exits(1)
    host.spawn()
    wait_until(lambda: host.starts() == 2, 30, "a second start")
    host.wait_result("success")


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

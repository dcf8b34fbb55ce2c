"""
Processes that cannot leak: T09, T10 and T13, on engines that misbehave.

The engines are fakes, for what a real one cannot be made to do; the real one is killed
in test_real_engine, and fails for good in test_permanent_failures.
VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from support.guarantees.plugin import is_long
from support.process_tree import start_tree
from support.service import free_port
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.engine.processes import MARKER
from vllm_pkg.state.identity import started_ticks

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

INSTANCE = "0123456789abcdef"
GRACE_S = 0.3
# What an engine is given between the signals in HASTY, and what the rest may take.
STOP_S = 2
STOP_MARGIN_S = 5
# The program with less patience, so that a test need not wait for 30 s.
HASTY = f"""\
import sys
from vllm_pkg.hosts.standalone import config
config.STOP_WAIT_S = {STOP_S}
from vllm_pkg.cli.main import run
run()
"""
# Of what an engine leaves when it has ended.
GONE_MAX_S = 5.0
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


def test_t09_a_host_ends_an_engine_that_ignores_sigterm(host, guarantee):
    """T09: `run` ends in the engine's time and a little more, and leaves nothing."""
    tried = _times(1, 100)
    host.program = (str(host.fake.python), "-c", HASTY)
    host.variables["FAKE_MODE"] = "deaf"
    clock = BootClock()
    took_s, wrong = [], []
    for _ in range(tried):
        process = host.spawn()
        host.wait_result("success")
        below = psutil.Process(process.pid).children(recursive=True)
        ticks = {one.pid: started_ticks(one.pid) for one in below}
        began_s = clock.now_s()
        process.terminate()
        code = process.wait(60)
        took_s.append(clock.now_s() - began_s)
        left = [pid for pid, tick in ticks.items() if started_ticks(pid) == tick]
        if code or left or host.engines() or _is_open(host.port):
            wrong.append((code, left))
    late = [took for took in took_s if not STOP_S <= took <= STOP_S + STOP_MARGIN_S]
    guarantee(
        "T09",
        "A host whose engine ignores SIGTERM ends in the engine's time and a margin,"
        " its port is free, and no process is left",
        tried=tried,
        violations=len(wrong) + len(late),
        unit=f"stops of a host (slowest {max(took_s):.1f} s, the engine's time"
        f" {STOP_S} s)",
        control="SIGTERM alone did not end it: none took less than the engine's time",
    )

    assert wrong == []
    assert late == []
    assert len(below) >= 4


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


def test_t10_what_an_engine_leaves_is_ended_without_a_next_start(host, guarantee):
    """T10: an engine that is not started again leaves nothing that holds memory."""
    host.variables["FAKE_MODE"] = "leave"
    host.fake.set_exits(3)
    host.spawn()
    wait_until(lambda: host.starts() == 1, 100, "the engine's start")
    clock = BootClock()
    engine = host.fake.starts()[0]["pid"]
    wait_until(lambda: started_ticks(engine) is None, 20, "the engine's end")
    began_s = clock.now_s()
    (left,) = host.engines()
    wait_until(lambda: started_ticks(left) is None, 30, "its end")
    gone_s = clock.now_s() - began_s
    failure = wait_until(host.failure, 10, "the record of the failure")
    guarantee(
        "T10",
        "What an ended engine leaves is ended at once, and not by the next start",
        tried=1,
        violations=int(gone_s > GONE_MAX_S) + int(not failure["is_final"]),
        unit=f"engines that left a process deaf to SIGTERM (gone after {gone_s:.1f} s)",
        control="it was there when the engine had ended",
    )

    assert gone_s <= GONE_MAX_S
    assert failure["is_final"]
    assert host.starts() == 1


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


@pytest.mark.parametrize("argument", ["--no-such-option", "--port=1", "--api-key=x"])
def test_t13_a_bad_argument_is_tried_once(host, guarantee, argument):
    """T13: what somebody wrote into store.json is refused before vLLM is started."""
    store = json.loads((host.main / "store.json").read_text())
    store["serveArgs"].append(argument)
    (host.main / "store.json").write_text(json.dumps(store))
    host.spawn()
    failure = wait_until(host.final_failure, 100, "the end of all tries")
    name = argument.partition("=")[0]
    told = name in failure["summary"] and "Set Model" in failure["hint"]
    daemons = host.daemon_starts()
    guarantee(
        "T13",
        "A stored argument that is refused costs one start and no engine, and is named",
        tried=1,
        violations=int(daemons != 1)
        + int(failure["exit_code"] != 3)
        + int(not told)
        + host.starts(),
        unit=f"starts with {name}",
        control="without it the same store is served",
    )

    assert daemons == 1
    assert failure["exit_code"] == 3
    assert told
    assert failure["hint"].startswith("It is not started again.")
    assert host.starts() == 0


def test_t13_a_taken_port_is_tried_again(host, guarantee):
    """T13: a port that somebody has may become free: a few tries, then ready."""
    tries = _times(3, 6)
    host.fake.set_exits(1)
    host.spawn()
    wait_until(lambda: host.starts() == 1, 100, "the first start")
    seen = {}
    with socket.create_server(("127.0.0.1", host.port)):

        def reached():
            failure = host.failure() or {"starts": 0}
            seen[failure["starts"]] = failure
            return failure["starts"] >= tries

        wait_until(reached, 300, "the last try")
    host.wait_result("success")
    # The first failure was the exit; from then on each delay is twice the one before.
    hasty = [
        number
        for number in range(2, tries)
        if seen[number + 1]["at_s"] - seen[number]["at_s"] < 2 ** (number - 1)
    ]
    last = seen[tries]
    told = "port" in last["summary"] and "--port" in last["hint"]
    guarantee(
        "T13",
        "A start whose port is taken is tried again, ever less often, till it is free",
        tried=tries - 1,
        violations=int(last["exit_code"] != 75)
        + int(last["is_final"] or not told)
        + len(hasty),
        unit="starts on a taken port",
        control="when it was free, the next one was ready",
    )

    assert last["exit_code"] == 75
    assert told
    assert not last["is_final"]
    assert hasty == []
    assert host.starts() == 2


def test_t13_the_control_is_tried_again(host):
    """The control of T13: an exit code of 1 is not permanent."""
    host.fake.set_exits(1)
    host.spawn()
    wait_until(lambda: host.starts() == 2, 30, "a second start")
    host.wait_result("success")


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""Ending real processes, however they were left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from support.process_tree import ProcessTree, start_tree
from support.waiting import wait_until
from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.engine.processes import MARKER
from vllm_pkg.errors import EngineStopError
from vllm_pkg.state.identity import started_ticks

INSTANCE = "0123456789abcdef"
OTHER = "fedcba9876543210"
STUBBORN = """\
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.alarm(120)
pathlib.Path(sys.argv[1]).touch()
while True:
    signal.pause()
"""
# Ends on SIGTERM, but not before it has started another process.
REPRODUCING = """\
import pathlib, signal, subprocess, sys
def reproduce(*_):
    subprocess.Popen(["sleep", "120"], start_new_session=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, reproduce)
signal.alarm(120)
pathlib.Path(sys.argv[1]).touch()
while True:
    signal.pause()
"""
# Starts a marked process and never waits for it.
NEGLIGENT = """\
import pathlib, signal, subprocess, sys
pid_file, marker, instance = sys.argv[1:]
child = subprocess.Popen(["sleep", "120"], env={marker: instance})
pathlib.Path(pid_file).write_text(f"{child.pid}.")
signal.pause()
"""
# Its main thread ends, and another one keeps its memory and its port.
HALF_ENDED = """\
import ctypes, pathlib, signal, sys, threading
signal.alarm(120)
def rest():
    pathlib.Path(sys.argv[1]).touch()
    threading.Event().wait()
threading.Thread(target=rest).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.fixture(name="make_tree")
def make_tree_fixture(tmp_path):
    """Start trees of processes and end what is left of them."""
    trees: list[ProcessTree] = []

    def make(instance, *, ignores_sigterm=False):
        folder = tmp_path / f"tree-{len(trees)}"
        trees.append(start_tree(folder, instance, ignores_sigterm=ignores_sigterm))
        return trees[-1]

    yield make
    for tree in trees:
        tree.close()


def _start_marked(tmp_path, script):
    """Start a child that carries the marker and say when it is set up."""
    ready = tmp_path / "ready"
    child = subprocess.Popen(
        [sys.executable, "-IS", "-c", script, str(ready)],
        env=os.environ | {MARKER: INSTANCE},
    )
    wait_until(ready.exists, 10, "the child")
    return child


def test_every_process_of_an_instance_is_ended(make_tree):
    """All three levels end, the one that ignores SIGTERM too; others are left alone."""
    tree = make_tree(INSTANCE, ignores_sigterm=True)
    other = make_tree(OTHER)
    found = {one.pid for one in processes.find_engine_processes(INSTANCE)}

    count = processes.end_engine_processes(INSTANCE, 0.3)

    assert found == set(tree.pids)
    assert tree.told.exists()
    assert count == 3
    assert tree.alive() == []
    assert len(other.alive()) == 3


def test_polite_processes_are_not_killed(make_tree):
    """What ends on SIGTERM is given the time for it and waited for no longer."""
    tree = make_tree(INSTANCE)

    count = processes.end_engine_processes(INSTANCE, 30.0)

    assert count == 3
    assert tree.alive() == []


def test_nothing_to_end_is_no_error():
    """An instance without processes has none ended."""
    assert processes.end_engine_processes(INSTANCE, 30.0) == 0


def test_orphans_are_ended_and_their_recorder_reads_on(make_tree):
    """All that the engine left is ended, the stubborn one too, in less than 5 s."""
    tree = make_tree(INSTANCE, ignores_sigterm=True)
    variables = os.environ | {processes.RECORDER_MARKER: INSTANCE}
    with subprocess.Popen(["sleep", "120"], env=variables) as recorder:
        before_s = BootClock().now_s()

        count = processes.end_orphans(INSTANCE)

        took_s = BootClock().now_s() - before_s
        is_reading = recorder.poll() is None
        recorder.terminate()
    assert count == 3
    assert tree.alive() == []
    assert processes.ORPHAN_GRACE_S <= took_s < 5
    assert is_reading


def test_an_engine_that_starts_meanwhile_is_no_orphan(make_tree, monkeypatch):
    """What was not there when orphans were looked for is left alone."""
    tree = make_tree(INSTANCE)
    (first, *_) = processes.find_engine_processes(INSTANCE)
    looks = iter([[first]])
    find = processes.find_engine_processes
    monkeypatch.setattr(
        processes, "find_engine_processes", lambda one: next(looks, None) or find(one)
    )

    assert processes.end_orphans(INSTANCE) == 1
    assert tree.alive() == [pid for pid in tree.pids if pid != first.pid]


def test_without_orphans_nothing_is_ended():
    """An engine that has left nothing costs one look."""
    assert processes.end_orphans(INSTANCE) == 0


def test_what_an_ending_process_starts_is_ended_too(tmp_path):
    """A process born while its parent was ending is found in the second round."""
    child = _start_marked(tmp_path, REPRODUCING)

    count = processes.end_engine_processes(INSTANCE, 10.0)

    assert count == 2
    assert child.wait() == 0
    assert processes.find_engine_processes(INSTANCE) == []


def test_we_do_not_end_ourselves():
    """A daemon that inherited the marker does not find itself."""
    script = (
        "from vllm_pkg.engine import processes\n"
        f"print(processes.end_engine_processes({INSTANCE!r}, 1.0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {MARKER: INSTANCE},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "0\n"


def test_zombie_is_no_process_of_the_engine():
    """A process that has ended and is not waited for yet disturbs nobody."""
    with subprocess.Popen(["true"], env={MARKER: INSTANCE}) as child:
        wait_until(lambda: started_ticks(child.pid) is None, 10, "its end")
        assert processes.find_engine_processes(INSTANCE) == []


def test_zombie_of_another_parent_is_not_waited_for(tmp_path):
    """A process that ends and that its parent does not wait for costs no time."""
    pid_file = tmp_path / "pid"
    arguments = [str(pid_file), MARKER, INSTANCE]
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", NEGLIGENT, *arguments]
    ) as parent:
        wait_until(lambda: pid_file.exists() and pid_file.read_text(), 10, "its number")
        before_s = BootClock().now_s()

        count = processes.end_engine_processes(INSTANCE, 30.0)

        assert count == 1
        assert BootClock().now_s() - before_s < 10
        assert psutil.Process(int(pid_file.read_text()[:-1])).status() == "zombie"
        parent.kill()


def test_process_that_survives_is_an_error(tmp_path, monkeypatch):
    """
    A process that SIGKILL does not end is reported with its number.

    The waiting is replaced: no process of a test can survive SIGKILL.
    """
    child = _start_marked(tmp_path, STUBBORN)
    monkeypatch.setattr(processes, "_wait_ended", lambda found, _: found)

    with pytest.raises(EngineStopError) as caught:
        processes.end_engine_processes(INSTANCE, 0.1)

    assert caught.value.message == (
        f"processes of the engine survived SIGKILL: {child.pid}"
    )
    assert caught.value.exit_code == 70
    assert child.wait() == -signal.SIGKILL


def test_a_process_has_not_ended_before_its_last_thread(tmp_path, monkeypatch):
    """
    What SIGKILL leaves for seconds on a busy machine: a zombie with a living thread.

    It holds its memory and its port, so it is waited for.
    """
    child = _start_marked(tmp_path, HALF_ENDED)
    process = psutil.Process(child.pid)
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 10, "the zombie")
    alive = started_ticks(child.pid)
    left = processes._wait_ended([process], 0.0)
    found = iter([[process], [process], []])
    monkeypatch.setattr(processes, "find_engine_processes", lambda *_: next(found))

    count = processes.end_engine_processes(INSTANCE, 0.0)

    assert alive is not None
    assert left == [process]
    assert count == 1
    assert started_ticks(child.pid) is None
    assert child.wait() < 0


def test_a_number_that_was_given_anew_is_another_process(monkeypatch):
    """A process that took the number of one that has ended is not waited for."""
    own = psutil.Process()
    ticks = iter([1, 1, 2])
    monkeypatch.setattr(processes, "started_ticks", lambda _: next(ticks))

    assert processes._wait_ended([own], 30.0) == []


def test_processes_without_end_are_an_error(monkeypatch):
    """
    When new ones come up in every round, ending them is given up on.

    The list is replaced: it always names a process, which is not there any more.
    """
    with subprocess.Popen(["true"]) as child:
        gone = psutil.Process(child.pid)
    monkeypatch.setattr(processes, "find_engine_processes", lambda *_: [gone])

    with pytest.raises(EngineStopError, match=f"SIGKILL: {gone.pid}$"):
        processes.end_engine_processes(INSTANCE, 0.1)


def test_descendants_are_ended_but_for_those_kept(tmp_path):
    """Children without a marker are ended with their children; kept ones are not."""
    with subprocess.Popen(["sleep", "120"]) as kept:
        pids = processes.child_pids()
        ready = tmp_path / "ready"
        script = f"sleep 120 & touch {ready}; wait"
        with (
            subprocess.Popen(["sh", "-c", script]) as ended,
            subprocess.Popen(["true"]) as zombie,
        ):
            wait_until(ready.exists, 10, "the grandchild")
            wait_until(lambda: started_ticks(zombie.pid) is None, 10, "the zombie")

            count = processes.end_descendants(pids, 10.0)

            assert kept.pid in pids
            assert count == 2
            assert started_ticks(kept.pid) is not None
            kept.terminate()
    assert ended.returncode == -signal.SIGTERM

"""Starting, replacing and ending real processes."""

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
# A host of its own: one child as a supervisor, one as any program starts one.
HOST = """\
import pathlib, signal, subprocess, sys
from vllm_pkg.engine import processes
log = pathlib.Path(sys.argv[1])
supervisor = processes.start_supervisor(["sleep", "120"], log)
other = subprocess.Popen(["sleep", "120"])
print(supervisor.pid, other.pid, flush=True)
signal.pause()
"""
# The supervisor ends and leaves a child, which then ends too.
ORPHANING = """\
import os, pathlib, signal, sys, psutil
from support.waiting import wait_until
from vllm_pkg.engine import processes
log, pid_file = (pathlib.Path(name) for name in sys.argv[1:])
script = f'sleep 120 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait'
supervisor = processes.start_supervisor(["sh", "-c", script], log)
wait_until(pid_file.exists, 10, "the child's number")
orphan = psutil.Process(int(pid_file.read_text()))
first_parent = orphan.ppid()
processes.end_supervisor(supervisor, 5)
wait_until(lambda: orphan.ppid() == os.getpid(), 10, "adoption")
orphan.kill()
wait_until(lambda: orphan.status() == psutil.STATUS_ZOMBIE, 10, "its end")
reaped = processes.reap_children()
print(first_parent == supervisor.pid, reaped, psutil.pid_exists(orphan.pid))
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


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", -9)]
)
def test_run_command_returns_how_it_ended(script, code):
    """An exit code comes back as it is, a signal as a negative number."""
    assert processes.run_command(["sh", "-c", script]) == code


def test_run_command_appends_to_the_log(tmp_path):
    """Both outputs are appended; there is no input; the environment is the given."""
    log = tmp_path / "log"
    log.write_text("earlier\n")
    script = 'echo "out $WORD"; echo "err $HOME" >&2; cat'

    code = processes.run_command(
        ["/bin/sh", "-c", script], log_file=log, env={"WORD": "x"}
    )

    assert code == 0
    assert log.read_text() == "earlier\nout x\nerr \n"


def test_run_command_without_log_uses_our_output(capfd, monkeypatch):
    """Without a log file the output goes where ours goes, with our environment."""
    monkeypatch.setenv("WORD", "y")

    processes.run_command(["sh", "-c", 'echo "out $WORD"; echo err >&2'])

    assert capfd.readouterr() == ("out y\n", "err\n")


def test_run_command_that_cannot_start_is_an_error(tmp_path):
    """A program that does not exist is an OSError."""
    with pytest.raises(FileNotFoundError):
        processes.run_command([str(tmp_path / "none")])


def test_supervisor_ends_on_sigterm(tmp_path):
    """It runs in a session of its own, its output is kept, and SIGTERM ends it."""
    log = tmp_path / "log"
    script = "echo hello; exec sleep 120"
    supervisor = processes.start_supervisor(["sh", "-c", script], log)
    wait_until(lambda: log.exists() and log.read_text() == "hello\n", 10, "its line")
    session = os.getsid(supervisor.pid)

    processes.end_supervisor(supervisor, 30)

    assert session == supervisor.pid
    assert supervisor.returncode == -signal.SIGTERM


def test_stubborn_supervisor_is_killed(tmp_path):
    """One that ignores SIGTERM is killed when its time is over."""
    ready = tmp_path / "ready"
    supervisor = processes.start_supervisor(
        [sys.executable, "-IS", "-c", STUBBORN, str(ready)], tmp_path / "log"
    )
    wait_until(ready.exists, 10, "the child")

    processes.end_supervisor(supervisor, 0.2)

    assert supervisor.returncode == -signal.SIGKILL


def test_signal_that_a_child_lost_is_repeated(tmp_path, monkeypatch):
    """
    A supervisor that waits for a child which was never told to end is helped out.

    A shell that passes nothing on stands for it: the real one does so by chance.
    """
    monkeypatch.setattr(processes, "REPEAT_AFTER_S", 0.2)
    ready = tmp_path / "ready"
    script = f"trap : TERM; sleep 120 & touch {ready}; wait; wait; exit 5"
    supervisor = processes.start_supervisor(["sh", "-c", script], tmp_path / "log")
    wait_until(ready.exists, 10, "the child")

    processes.end_supervisor(supervisor, 30)

    assert supervisor.returncode == 5


def test_supervisor_ends_when_its_parent_is_killed(tmp_path):
    """The kernel ends the supervisor with its parent; any other child stays."""
    with subprocess.Popen(
        [sys.executable, "-c", HOST, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
    ) as host:
        assert host.stdout is not None
        supervisor, other = (int(pid) for pid in host.stdout.readline().split())
        host.kill()
        host.wait()
        try:
            wait_until(lambda: started_ticks(supervisor) is None, 10, "its end")
            assert started_ticks(other) is not None
        finally:
            os.kill(other, signal.SIGKILL)


def test_supervisor_whose_parent_is_gone_does_not_start():
    """When the parent ended before the kernel was told, the child gives up itself."""
    nobody = 0
    done = subprocess.run(
        ["true"],
        preexec_fn=lambda: processes._end_with(nobody),
        check=False,
    )

    assert done.returncode == 1


def test_what_a_supervisor_leaves_is_ours_to_reap(tmp_path):
    """An orphan becomes the host's child, and reaping leaves no zombie."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", ORPHANING),
            *(str(tmp_path / "log"), str(tmp_path / "pid")),
        ],
        capture_output=True,
        text=True,
        timeout=40,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )

    assert done.stdout == "True 1 False\n", done.stderr


def test_replaced_process_keeps_its_pid():
    """The new program has the same pid, the given arguments and environment."""
    script = (
        "from vllm_pkg.engine import processes\n"
        "import os\n"
        "print(os.getpid(), flush=True)\n"
        "argv = ['name', '-c', 'echo $$ $0 $WORD', 'zero']\n"
        "processes.replace_process('/bin/sh', argv, {'WORD': 'x'})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    before, after = done.stdout.splitlines()
    assert after == f"{before} zero x"


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


def test_processes_without_end_are_an_error(monkeypatch):
    """
    When new ones come up in every round, ending them is given up on.

    The list is replaced: it always names a process, which is not there any more.
    """
    with subprocess.Popen(["true"]) as child:
        gone = psutil.Process(child.pid)
    monkeypatch.setattr(processes, "find_engine_processes", lambda _: [gone])

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
    # psutil has waited for it in Popen's place.
    assert ended.returncode is not None


def test_signal_to_nobody_is_told():
    """Sending a signal to a process that has ended is no error."""
    with subprocess.Popen(["true"]) as child:
        pass

    assert not processes.send_signal(child.pid, signal.SIGTERM)


def test_instance_follows_the_folder(tmp_path):
    """The same folder by another name is the same instance; another one is not."""
    (tmp_path / "main").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("main")
    first = processes.instance_id(tmp_path / "main")

    assert processes.instance_id(tmp_path / "link") == first
    assert processes.instance_id(tmp_path / "other") != first
    assert len(processes.instance_id(tmp_path / "missing")) == 16

"""Starting and replacing real processes, and telling them something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from support.waiting import wait_until
from vllm_pkg.engine import processes
from vllm_pkg.state.identity import started_ticks

STUBBORN = """\
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.alarm(120)
pathlib.Path(sys.argv[1]).touch()
while True:
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
# The shell's mv may be one more, if it had just ended.
print(first_parent == supervisor.pid, reaped > 0, psutil.pid_exists(orphan.pid))
"""


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

    assert done.stdout == "True True False\n", done.stderr


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

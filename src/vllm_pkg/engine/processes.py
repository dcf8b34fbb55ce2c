"""
Starting, replacing and ending processes: the only module that does any of it.

An engine and all its children carry `MARKER` in their environment, so that what an
earlier engine of the same instance left behind can be found however it was orphaned.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Final, NoReturn

from vllm_pkg.clock import BootClock
from vllm_pkg.errors import EngineStopError
from vllm_pkg.state.identity import ProcessIdentity, started_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import psutil

MARKER: Final = "VLLM_PKG_ENGINE"
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_KILL_WAIT_S: Final = 10.0


def instance_id(main: Path) -> str:
    """
    Return the id of the instance whose main volume is *main*.

    The folder's inode is part of it: a container may see the same path, and through a
    shared view of processes another instance's engine.
    """
    place = str(main.resolve())
    with contextlib.suppress(OSError):
        status = main.stat()
        place += f" {status.st_dev} {status.st_ino}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def own_identity() -> ProcessIdentity:
    """Return which process this is."""
    pid = os.getpid()
    return ProcessIdentity(pid, started_ticks(pid) or 0, BootClock().boot_id())


def run_command(
    argv: Sequence[str],
    *,
    log_file: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """
    Run a program to its end.

    Args:
        argv: Program and arguments; no shell is involved.
        log_file: Its output is appended there; None: it goes where ours goes.
        env: Its whole environment; None: ours.
    Returns:
        Its exit code, negative for a signal.
    Raises:
        OSError: the program cannot be started, or the log file not be written.
    """
    output = log_file.open("ab") if log_file else contextlib.nullcontext()
    with output as stream:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT if stream else None,
            env=dict(env) if env is not None else None,
            check=False,
        )
    return done.returncode


def start_supervisor(argv: Sequence[str], log_file: Path) -> subprocess.Popen[bytes]:
    """
    Start the process supervisor in a session of its own.

    Ctrl-C in the terminal then reaches only us, and we end it in order; and when we are
    killed, the kernel tells it to end. What an ending engine leaves becomes its child,
    or ours when it has ended: in a container nobody else would wait for it.

    Raises:
        OSError: the program cannot be started, or the log file not be written.
    """
    parent = os.getpid()
    _control_process(_PR_SET_CHILD_SUBREAPER, 1)
    with log_file.open("ab") as stream:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=lambda: _end_with(parent),  # noqa: PLW1509  # no threads here
        )


def end_supervisor(supervisor: subprocess.Popen[bytes], timeout_s: float) -> None:
    """
    End the process supervisor and wait for it: SIGTERM, then SIGKILL.

    Args:
        supervisor: What `start_supervisor` returned.
        timeout_s: Seconds between the two signals, > 0; it has children to end first.
    """
    supervisor.terminate()
    try:
        supervisor.wait(timeout_s)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


def replace_process(
    program: str, argv: Sequence[str], env: Mapping[str, str]
) -> NoReturn:
    """
    Become another program: same pid, new code.

    Raises:
        OSError: the program cannot be executed.
    """
    os.execve(program, list(argv), dict(env))  # noqa: S606  # that is the purpose


def find_engine_processes(instance: str) -> list[psutil.Process]:
    """Return the processes that carry the marker of *instance*, without ourselves."""
    import psutil  # noqa: PLC0415  # health does not need it

    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARKER) == instance
        except (psutil.Error, OSError):
            continue
        if marked and process.pid != os.getpid():
            found.append(process)
    return found


def end_engine_processes(instance: str, grace_s: float) -> int:
    """
    End every process of an instance's engine: SIGTERM, then SIGKILL.

    Args:
        instance: Id of the instance.
        grace_s: Seconds between the two signals, >= 0.
    Returns:
        How many processes were ended.
    Raises:
        EngineStopError: a process survived SIGKILL.
    """
    import psutil  # noqa: PLC0415

    ended = set()
    found = find_engine_processes(instance)
    _signal_all(found, signal.SIGTERM)
    ended |= {process.pid for process in found}
    psutil.wait_procs(found, timeout=grace_s)
    # Again from the list of all processes: an ending engine may start others.
    remaining = find_engine_processes(instance)
    _signal_all(remaining, signal.SIGKILL)
    ended |= {process.pid for process in remaining}
    _, survivors = psutil.wait_procs(remaining, timeout=_KILL_WAIT_S)
    if survivors:
        pids = ", ".join(str(process.pid) for process in survivors)
        raise EngineStopError(
            f"processes of the engine survived SIGKILL: {pids}",
            hint="restart the machine; a device driver holds them",
        )
    return len(ended)


def send_signal(pid: int, number: signal.Signals) -> bool:
    """Send a signal; return whether there was a process to send it to."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _signal_all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        send_signal(process.pid, number)


def reap_children() -> int:
    """Wait for every ended child we have; return how many there were."""
    reaped = 0
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            reaped += 1
    return reaped


def _end_with(parent: int) -> None:
    _control_process(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _control_process(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        os._exit(1)


def _control_process(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)

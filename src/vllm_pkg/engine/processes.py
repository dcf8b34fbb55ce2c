"""
Starting, replacing and ending processes: the only module that does any of it.

An engine and all its children carry `MARKER` in their environment, so that what an
earlier engine of the same instance left behind can be found however it was orphaned.
Its recorder carries `RECORDER_MARKER`: it is no engine, and is swept with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final, NoReturn

from vllm_pkg.clock import BootClock
from vllm_pkg.engine import prctl
from vllm_pkg.errors import EngineStopError
from vllm_pkg.state.identity import ProcessIdentity, started_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import psutil

MARKER: Final = "VLLM_PKG_ENGINE"
RECORDER_MARKER: Final = "VLLM_PKG_RECORDER"
# What the kernel gives without privilege: the engine need not wait for its reader.
PIPE_BYTES: Final = 1024 * 1024
REPEAT_AFTER_S: Final = 3.0
# What has lost its engine has no request to finish; it tidies up in less than a second.
ORPHAN_GRACE_S: Final = 2.0
# A killed process frees its memory with its own share of the processors: on a machine
# with 16 other busy programs on two cores that took 7 s for 2 GiB.
_KILL_WAIT_S: Final = 60.0
_KILL_ROUNDS: Final = 5
_POLL_S: Final = 0.05


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
    timeout_s: float | None = None,
) -> int:
    """
    Run a program to its end.

    Args:
        argv: Program and arguments; no shell is involved.
        log_file: Its output is appended there; None: it goes where ours goes.
        env: Its whole environment; None: ours.
        timeout_s: After which it is killed; None: it may run for ever.
    Returns:
        Its exit code, negative for a signal.
    Raises:
        OSError: the program cannot be started, or the log file not be written.
        TimeoutError: it was killed after the timeout.
    """
    output = log_file.open("ab") if log_file else contextlib.nullcontext()
    with output as stream:
        try:
            done = subprocess.run(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT if stream else None,
                env=dict(env) if env is not None else None,
                check=False,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{argv[0]} did not end") from None
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
    prctl.adopt_orphans()
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

    Its children are sent SIGTERM too, but only after a while: a child that it signals
    between fork and exec still has the supervisor's handlers, and loses the signal.
    supervisord does just that when it is told to end in its first second (4.3.0), and
    would wait half a minute for it. vLLM ignores the second signal (0.32).

    Args:
        supervisor: What `start_supervisor` returned.
        timeout_s: Seconds between the two signals, > 0; it has children to end first.
    """
    import psutil  # noqa: PLC0415

    supervisor.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        supervisor.wait(min(REPEAT_AFTER_S, timeout_s))
        return
    _signal_all(psutil.Process(supervisor.pid).children(), signal.SIGTERM)
    try:
        supervisor.wait(timeout_s)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


@contextlib.contextmanager
def recorded_output(
    argv: Sequence[str], env: Mapping[str, str], secret: bytes
) -> Iterator[ProcessIdentity]:
    """
    Start a program that reads what we write from now on, on stdout and on stderr.

    It runs in a session of its own and is deaf to the signals that end the engine: it
    ends when its input does. On an error inside, our own output is as it was before.

    Args:
        argv: Program and arguments; it writes to our stdout and stderr.
        env: Its whole environment.
        secret: What it must not repeat. It reads it from the descriptor whose number is
            added to its arguments: others can read arguments and environments.
    Raises:
        OSError: the program cannot be started.
    """
    kept = [(number, os.dup(number)) for number in (1, 2)]
    reading, writing = os.pipe()
    try:
        with contextlib.suppress(OSError):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        with _readable(secret) as handed:
            reader = subprocess.Popen(
                [*argv, str(handed)],
                stdin=reading,
                env=dict(env),
                pass_fds=(handed,),
                start_new_session=True,
                preexec_fn=_be_deaf,  # noqa: PLW1509  # no threads here
            )
        os.close(reading)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        ticks = started_ticks(reader.pid) or 0
        yield ProcessIdentity(reader.pid, ticks, BootClock().boot_id())
    finally:
        # Reached only without an exec: what follows is for those who start us.
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(writing)


@contextlib.contextmanager
def _readable(data: bytes) -> Iterator[int]:
    """Give a descriptor from which a short text can be read."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)


def replace_process(
    program: str, argv: Sequence[str], env: Mapping[str, str]
) -> NoReturn:
    """
    Become another program: same pid, new code.

    Raises:
        OSError: the program cannot be executed.
    """
    os.execve(program, list(argv), dict(env))  # noqa: S606  # that is the purpose


def find_engine_processes(
    instance: str, markers: Collection[str] = (MARKER,)
) -> list[psutil.Process]:
    """Return the processes that carry a marker of *instance*, without ourselves."""
    import psutil  # noqa: PLC0415  # health does not need it

    found = []
    for process in psutil.process_iter():
        try:
            variables = process.environ()
        except (psutil.Error, OSError):
            continue
        is_marked = any(variables.get(marker) == instance for marker in markers)
        if is_marked and process.pid != os.getpid():
            found.append(process)
    return found


def end_engine_processes(instance: str, grace_s: float) -> int:
    """
    End every process of an instance's engine, and its recorder: SIGTERM, then SIGKILL.

    Args:
        instance: Id of the instance.
        grace_s: Seconds between the two signals, >= 0.
    Returns:
        How many processes were ended.
    Raises:
        EngineStopError: a process survived SIGKILL.
    """
    markers = (MARKER, RECORDER_MARKER)
    return _end_all(lambda: find_engine_processes(instance, markers), grace_s)


def end_orphans(instance: str) -> int:
    """
    End what an engine has left running whose main process has ended.

    Its recorder stays, since it has still to read what they said last, and so does
    what comes up meanwhile: that may be the next engine.

    Args:
        instance: Id of the instance.
    Returns:
        How many processes were ended.
    Raises:
        EngineStopError: a process survived SIGKILL.
    """
    orphans = find_engine_processes(instance)

    def find() -> list[psutil.Process]:
        return [one for one in find_engine_processes(instance) if one in orphans]

    return _end_all(find, ORPHAN_GRACE_S) if orphans else 0


def child_pids() -> frozenset[int]:
    """Return the children we have now."""
    import psutil  # noqa: PLC0415

    return frozenset(child.pid for child in psutil.Process().children())


def ancestor_pids() -> frozenset[int]:
    """Return the process that started us, the one that started it, and so on."""
    import psutil  # noqa: PLC0415

    return frozenset(parent.pid for parent in psutil.Process().parents())


def end_descendants(kept: Collection[int], grace_s: float) -> int:
    """
    End every process below us: SIGTERM, then SIGKILL.

    It finds what carries no marker: a daemon that idles, or a process that has
    overwritten its environment.

    Args:
        kept: Children that stay, with all below them.
        grace_s: Seconds between the two signals, >= 0.
    Returns:
        How many processes were ended.
    Raises:
        EngineStopError: a process survived SIGKILL.
    """
    return _end_all(lambda: _find_descendants(kept), grace_s)


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


def _end_all(find: Callable[[], list[psutil.Process]], grace_s: float) -> int:
    found = find()
    _signal_all(found, signal.SIGTERM)
    ended = {process.pid for process in found}
    _wait_ended(found, grace_s)
    for _ in range(_KILL_ROUNDS):
        # Looked for again each time: an ending process may start others.
        remaining = find()
        if not remaining:
            return len(ended)
        _signal_all(remaining, signal.SIGKILL)
        ended |= {process.pid for process in remaining}
        survivors = _wait_ended(remaining, _KILL_WAIT_S)
        if survivors:
            break
    pids = ", ".join(str(process.pid) for process in survivors or remaining)
    raise EngineStopError(
        f"processes of the engine survived SIGKILL: {pids}",
        hint="wait a minute and start again; if they stay, restart the machine:"
        " a device driver holds them",
    )


def _wait_ended(
    processes: list[psutil.Process], timeout_s: float
) -> list[psutil.Process]:
    # Not psutil's own waiting: it takes the zombies for running that stay where nobody
    # waits for another's orphans, and tells no reused number from the process it was.
    clock = BootClock()
    deadline_s = clock.now_s() + timeout_s
    started = {process.pid: started_ticks(process.pid) for process in processes}
    left = processes
    while True:
        left = [
            process
            for process in left
            if started[process.pid] is not None
            and started_ticks(process.pid) == started[process.pid]
        ]
        if not left or clock.now_s() >= deadline_s:
            return left
        time.sleep(_POLL_S)


def _find_descendants(kept: Collection[int]) -> list[psutil.Process]:
    import psutil  # noqa: PLC0415

    found = []
    for child in psutil.Process().children():
        if child.pid in kept:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [child, *child.children(recursive=True)]
            found += [one for one in family if started_ticks(one.pid) is not None]
    return found


def reap_children() -> int:
    """Wait for every ended child we have; return how many there were."""
    reaped = 0
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            reaped += 1
    return reaped


def _be_deaf() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _end_with(parent: int) -> None:
    prctl.end_with_parent()
    prctl.adopt_orphans()
    if os.getppid() != parent:
        os._exit(1)

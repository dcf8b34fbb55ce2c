"""
Running one process under strace, and killing or failing it at its Nth system call.

The process is forked, not started: a thousand points would take minutes if each had
to start Python. A middle process waits until strace holds it, then forks one child per
scenario; strace counts the calls of each child on its own.
Source: strace(1), option --inject.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What changes a disk or the lock: a kill elsewhere leaves what these leave. The names
# between slashes are patterns, since architectures differ in what they have.
CHANGING: Final = (
    "openat",
    "write",
    "fsync",
    "close",
    "/^rename",
    "/^unlink",
    "/^mkdir",
    "/^f?chmod",
    "flock",
)
# What can fail besides.
READING: Final = ("read", "/^getdents", "/^(new)?(f|l)?stat")
_PR_SET_PTRACER: Final = 0x59616D61
_ANY: Final = ctypes.c_ulong(-1 & (2**64 - 1))


def run_injected(
    programs: Sequence[Callable[[], None]], what: str, when: int
) -> list[str]:
    """
    Run each program in a process of its own, with something injected into it.

    Args:
        programs: What the processes do.
        what: To which kind of call what happens, such as ``fsync:error=EIO``.
        when: At the how manyth of those calls of a process, >= 1.
    Returns:
        For each program the call that was hit, as strace shows it; empty when the
        program did not get that far.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    middle = os.fork()
    if middle == 0:
        _run_middle(programs)
    with tempfile.TemporaryDirectory() as folder:
        log = f"{folder}/trace"
        # -ff: one file per process, so that no line is split by another's.
        strace = subprocess.Popen(
            [
                *("strace", "-ff", "-o", log, "-p", str(middle)),
                *("-e", f"trace={what.partition(':')[0]}"),
                *("-e", f"inject={what}:when={when}"),
            ],
            stderr=subprocess.PIPE,
        )
        assert strace.stderr is not None
        first = strace.stderr.readline()
        if b"attached" not in first:
            os.kill(middle, signal.SIGKILL)
            raise AssertionError(f"strace: {first.decode()}{strace.stderr.read()!r}")
        os.kill(middle, signal.SIGUSR1)
        strace.communicate()
        os.waitpid(middle, 0)
        traces = {
            int(name.rpartition(".")[2]): name
            for name in os.listdir(folder)  # noqa: PTH208
        }
        traces.pop(middle, None)
        # Forked one after another: their numbers tell which is which, but for the
        # moment at which the numbers begin anew.
        hit = [_hit_in(f"{folder}/{traces[pid]}") for pid in _in_order(traces, middle)]
    assert len(hit) == len(programs)
    return hit


def _run_middle(programs: Sequence[Callable[[], None]]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)
    signal.sigwait({signal.SIGUSR1})
    for program in programs:
        child = os.fork()
        if child == 0:
            try:
                program()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    os._exit(0)


def _in_order(pids: dict[int, str], middle: int) -> list[int]:
    return sorted(pids, key=lambda pid: (pid < middle, pid))


def _hit_in(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as trace:  # noqa: PTH123
        lines = trace.read().splitlines()
    if lines and "killed by SIGKILL" in lines[-1]:
        return lines[-1]
    return next((line for line in lines if "INJECTED" in line), "")

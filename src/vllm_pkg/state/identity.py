"""
Which process a number means: a pid alone is reused, a pid with its start time is not.

Source: proc(5), fields 3, 20 and 22 of /proc/PID/stat.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_STATE_FIELD: Final = 0
_THREADS_FIELD: Final = 17
_START_FIELD: Final = 19
_ENDED_STATES: Final = frozenset("ZXx")


@dataclass(frozen=True)
class ProcessIdentity:
    """
    One process of one boot.

    Args:
        pid: Process id.
        started_ticks: Kernel's start time, in clock ticks since boot.
        boot_id: The kernel's id of the boot.
    """

    pid: int
    started_ticks: int
    boot_id: str


def started_ticks(pid: int, proc: Path = PROC) -> int | None:
    """
    Return when a process started, in clock ticks since boot; None if it ended.

    It has not ended before its last thread has: until then it holds its memory and its
    ports. A killed engine's main thread is a zombie seconds before that.
    """
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in parentheses, and may hold any character.
    fields = text.rpartition(")")[2].split()
    if len(fields) <= _START_FIELD:
        return None
    if fields[_STATE_FIELD] in _ENDED_STATES and int(fields[_THREADS_FIELD]) <= 1:
        return None
    return int(fields[_START_FIELD])


def is_alive(identity: ProcessIdentity, boot_id: str, proc: Path = PROC) -> bool:
    """Whether that very process still runs; a zombie does not."""
    return (
        identity.boot_id == boot_id
        and started_ticks(identity.pid, proc) == identity.started_ticks
    )

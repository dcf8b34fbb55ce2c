"""Why a run of pip failed, read from its output: one line, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    """Why pip failed."""

    DISK = "disk"
    PERMISSION = "permission"
    MANAGED = "managed"
    NETWORK = "network"
    ABSENT = "absent"
    MEMORY = "memory"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Failure:
    """
    One failure, explained.

    Args:
        cause: What kind it is.
        summary: What happened, without a final full stop.
        hint: What to do about it.
    """

    cause: Cause
    summary: str
    hint: str


_AGAIN: Final = "and run it again"
_NO_NETWORK: Final = (
    r"NameResolutionError|NewConnectionError|Temporary failure in name resolution"
    r"|Network is unreachable|Connection (?:refused|reset|timed out)|ConnectTimeout"
    r"|ReadTimeout|ProxyError|SSLError|CERTIFICATE_VERIFY_FAILED"
    r"|Connection(?:Error| broken)|network connection"
)
# In this order: what ends pip comes before what it merely warns of. A lost connection
# also makes pip say that no distribution was found, so the network comes before that.
_RULES: Final = (
    (
        Cause.DISK,
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        f"free some disk space {_AGAIN}",
    ),
    (
        Cause.MANAGED,
        r"externally-managed-environment",
        "this Python belongs to the operating system",
        "use a virtual environment: make setup",
    ),
    (
        Cause.PERMISSION,
        r"Permission denied|Read-only file system",
        "the environment may not be written",
        "use a virtual environment of your own: make setup",
    ),
    (
        Cause.NETWORK,
        _NO_NETWORK,
        "the package index cannot be reached",
        f"check the network and pip's configuration (pip config list) {_AGAIN}",
    ),
    (
        Cause.ABSENT,
        r"No matching distribution found for (?P<what>[^\n]+)",
        "the package index has no {what} for this machine and Python",
        "check pip's configuration (pip config list) and the version of Python",
    ),
    (
        Cause.MEMORY,
        r"MemoryError|Cannot allocate memory",
        "the memory ran out",
        f"close other programs {_AGAIN}",
    ),
)


def explain(output: str, exit_code: int) -> Failure:
    """
    Explain a failed run of pip.

    Args:
        output: What it printed.
        exit_code: Its exit code, not 0; negative for a signal.
    Returns:
        The cause, in words for people.
    """
    for cause, pattern, summary, hint in _RULES:
        match = re.search(pattern, output)
        if match:
            what = match.groupdict().get("what", "").strip()
            return Failure(cause, summary.format(what=what), hint)
    summary = f"pip ended with exit code {exit_code}"
    return Failure(Cause.UNKNOWN, summary, f"read the log {_AGAIN}")

"""What can go wrong while the test Hub answers, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# In place of a file's name: what is no file, and the object of Xet storage.
API = "api"
XET = "xet"


class Trouble(StrEnum):
    """Kinds of faults."""

    SLOW = "slow"
    HELD = "held"
    STALL = "stall"
    RESET = "reset"
    SHORT = "short"
    CORRUPT = "corrupt"
    STATUS = "status"
    TOGETHER = "together"
    BEHIND = "behind"


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    Args:
        trouble: What happens.
        after_bytes: Stall, reset, short and held: how much of the answer goes out
            first.
        bytes_per_s: Slow and held: how fast it goes out.
        ahead_bytes: Held: how far the answer may be ahead of what has arrived.
        arrived: Held: how much of the file is on the other side's disk.
        status: Status: the answer's code.
        headers: Status: headers of the answer.
        other: Behind: the file that goes out first.
        times: For how many requests it lasts.
    """

    trouble: Trouble
    after_bytes: int = 0
    bytes_per_s: int = 0
    ahead_bytes: int = 0
    arrived: Callable[[], int] | None = None
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    other: str = ""
    times: int = 1_000_000


def slow(bytes_per_s: int) -> Fault:
    """Answer at that speed."""
    return Fault(Trouble.SLOW, bytes_per_s=bytes_per_s)


def held(
    bytes_per_s: int, after_bytes: int, ahead_bytes: int, arrived: Callable[[], int]
) -> Fault:
    """
    Answer at that speed with so much, and then nothing, with the connection open.

    A busy machine reads late, and the system's buffers then hold what counts as sent.
    So what is sent stays within a distance of what has arrived: a transfer that keeps
    more than that before it writes it down stands still.
    """
    return Fault(
        Trouble.HELD,
        after_bytes=after_bytes,
        bytes_per_s=bytes_per_s,
        ahead_bytes=ahead_bytes,
        arrived=arrived,
    )


def stall(after_bytes: int, times: int = 1_000_000) -> Fault:
    """Send that much, and then nothing, with the connection open."""
    return Fault(Trouble.STALL, after_bytes=after_bytes, times=times)


def reset(after_bytes: int, times: int = 1) -> Fault:
    """Send that much, and reset the connection."""
    return Fault(Trouble.RESET, after_bytes=after_bytes, times=times)


def short(missing_bytes: int, times: int = 1_000_000) -> Fault:
    """Say and send less than the file has, as a proxy with a limit does."""
    return Fault(Trouble.SHORT, after_bytes=missing_bytes, times=times)


def corrupt(times: int = 1_000_000) -> Fault:
    """Send as many bytes as the file has, and others."""
    return Fault(Trouble.CORRUPT, times=times)


def status(code: int, times: int = 1_000_000, **headers: str) -> Fault:
    """Answer with a status; ``_`` in names of headers stands for ``-``."""
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return Fault(Trouble.STATUS, status=code, headers=named, times=times)


def together() -> Fault:
    """Hold the answer until a request for another such file is held, too."""
    return Fault(Trouble.TOGETHER)


def behind(other: str) -> Fault:
    """Hold the answer until another file of the repository has gone out whole."""
    return Fault(Trouble.BEHIND, other=other)


def rate_limited(retry_after_s: int, times: int = 1) -> Fault:
    """Answer 429, and when to come again."""
    return status(429, times, Retry_After=str(retry_after_s))

"""
What to do when a transfer ends early: which class of error is tried again. Pure.

A try that brought bytes starts the count anew: a line that breaks every minute gets
there in the end. What no repetition changes is never repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

IDLE_TRIES_MAX: Final = 8
CORRUPT_TRIES_MAX: Final = 3
DELAY_MAX_S: Final = 60.0
RETRY_AFTER_MAX_S: Final = 900.0


class Cause(StrEnum):
    """Why a transfer ended early."""

    NETWORK = "network"
    SERVER = "server"
    RATE_LIMITED = "rate-limited"
    STALLED = "stalled"
    XET = "xet"
    CRASHED = "crashed"
    CORRUPT = "corrupt"
    LENGTH = "length"
    NOT_FOUND = "not-found"
    HIDDEN = "hidden"
    REVISION = "revision"
    NO_FILE = "no-file"
    GATED = "gated"
    TOKEN = "token"  # noqa: S105  # a kind of error
    REFUSED = "refused"
    DISK_FULL = "disk-full"
    DISK = "disk"
    UNEXPECTED = "unexpected"


_TRANSIENT: Final = frozenset(
    {
        Cause.NETWORK,
        Cause.SERVER,
        Cause.RATE_LIMITED,
        Cause.STALLED,
        Cause.XET,
        Cause.CRASHED,
    }
)
_WRONG_CONTENT: Final = frozenset({Cause.CORRUPT, Cause.LENGTH})


@dataclass(frozen=True)
class Failure:
    """
    How a transfer ended early.

    Args:
        cause: The class of error.
        message: What happened, for people; never a token.
        retry_after_s: What the server asks to wait; None: it does not say.
        file: The file it happened with; empty: with none.
        status: Of an HTTP answer; 0: there was none.
    """

    cause: Cause
    message: str
    retry_after_s: float | None = None
    file: str = ""
    status: int = 0

    @property
    def is_final(self) -> bool:
        """Whether no repetition would change it."""
        return self.cause not in _TRANSIENT | _WRONG_CONTENT


@dataclass(frozen=True)
class Tries:
    """
    What was tried so far.

    Args:
        idle: Tries in a row that brought nothing.
        corrupt: Tries that brought wrong content.
        has_xet: Whether Xet may be used.
    """

    idle: int = 0
    corrupt: int = 0
    has_xet: bool = True

    def after(self, failure: Failure, *, brought_bytes: bool) -> Tries:
        """Return the tries after one more that failed."""
        is_wrong = failure.cause in _WRONG_CONTENT
        return replace(
            self,
            idle=0 if brought_bytes else self.idle + 1,
            corrupt=self.corrupt + is_wrong,
            # A stall and a failure of Xet both end in plain HTTP, which works where
            # Xet hangs for ever (xet-core #850, #898).
            has_xet=self.has_xet
            and failure.cause not in {Cause.STALLED, Cause.XET, Cause.CRASHED},
        )


def delay_s(failure: Failure, tries: Tries) -> float | None:
    """
    Return how long to wait before the next try; None: there is none.

    Args:
        failure: How the last one ended.
        tries: What was tried, the last one included.
    """
    if (
        failure.is_final
        or tries.idle >= IDLE_TRIES_MAX
        or tries.corrupt >= CORRUPT_TRIES_MAX
    ):
        return None
    if failure.retry_after_s is not None:
        # Who asks for hours is answered with an error that says so.
        if failure.retry_after_s > RETRY_AFTER_MAX_S:
            return None
        return failure.retry_after_s
    if failure.cause in {Cause.STALLED, Cause.XET} and tries.idle <= 1:
        # Waiting was done already, or the way changes.
        return 0.0
    return float(min(DELAY_MAX_S, 2 ** max(0, tries.idle - 1)))


def most_telling(failures: list[Failure]) -> Failure:
    """
    Return of several failures the one to act on.

    Args:
        failures: At least one.
    """
    order = list(Cause)

    def rank(failure: Failure) -> tuple[bool, float, int]:
        return (
            failure.is_final,
            failure.retry_after_s or 0.0,
            order.index(failure.cause),
        )

    return max(failures, key=rank)

"""When to start an engine again that ended by itself: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_DELAY_S: Final = 1.0
DELAY_MAX_S: Final = 60.0
CRASHES_MAX: Final = 10
# Enough for the longest delay; what passes may be tried for years.
_DOUBLINGS_MAX: Final = 10
# Ready for so long, an engine has shown that it works. One that dies every few minutes
# has not: its users lose their requests each time.
STEADY_S: Final = 600.0
# So much longer a delay may be: what failed at the same moment starts apart.
JITTER_MAX: Final = 0.1


@dataclass(frozen=True)
class FailedStarts:
    """
    Starts in a row that have failed.

    Args:
        total: All of them.
        crashes: Those whose failure does not pass by itself.
    """

    total: int = 0
    crashes: int = 0


@dataclass(frozen=True)
class Decision:
    """
    What to do after an engine ended.

    Args:
        delay_s: Seconds until it is started again; None: not again.
        failed: Starts in a row that have failed, this one included.
    """

    delay_s: float | None
    failed: FailedStarts


def is_steady(ready_s: float, now_s: float) -> bool:
    """
    Whether an engine has been ready for so long that earlier failures count no more.

    Args:
        ready_s: When it became ready, in seconds since boot.
        now_s: Seconds since boot.
    """
    return now_s - ready_s >= STEADY_S


def with_jitter(delay_s: float, share: float) -> float:
    """
    Return a delay, a little longer.

    Args:
        delay_s: In seconds.
        share: How much of the most, drawn at random from 0 to 1.
    """
    return delay_s * (1.0 + JITTER_MAX * share)


def after_exit(
    failed: FailedStarts, *, was_steady: bool, is_final: bool, is_passing: bool = False
) -> Decision:
    """
    Decide whether and when to start the engine again.

    The delays double from 1 s to 60 s. An engine that had been ready for long starts
    the count anew: it crashed, but its configuration works.

    Args:
        failed: Starts in a row that had failed before this one.
        was_steady: Whether it had been ready for long; see `is_steady`.
        is_final: Whether starting again would only fail again.
        is_passing: Whether it failed by something that passes by itself, such as a
            network that is down; however long that takes, it is tried again.
    """
    before = FailedStarts() if was_steady else failed
    now = FailedStarts(before.total + 1, before.crashes + (not is_passing))
    if is_final or (not is_passing and now.crashes >= CRASHES_MAX):
        return Decision(None, now)
    doublings = min(now.total - 1, _DOUBLINGS_MAX)
    return Decision(min(FIRST_DELAY_S * 2.0**doublings, DELAY_MAX_S), now)

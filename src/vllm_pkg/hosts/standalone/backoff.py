"""When to start an engine again that ended by itself: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_DELAY_S: Final = 1.0
DELAY_MAX_S: Final = 60.0
FAILED_STARTS_MAX: Final = 10


@dataclass(frozen=True)
class Decision:
    """
    What to do after an engine ended.

    Args:
        delay_s: Seconds until it is started again; None: not again.
        failed_starts: How many starts in a row have failed, this one included.
    """

    delay_s: float | None
    failed_starts: int


def after_exit(failed_starts: int, *, was_ready: bool, is_final: bool) -> Decision:
    """
    Decide whether and when to start the engine again.

    The delays double from 1 s to 60 s. An engine that had been ready starts the count
    anew: it crashed, but its configuration works.

    Args:
        failed_starts: Starts in a row that had failed before this one.
        was_ready: Whether this start had come so far as to answer.
        is_final: Whether starting again would only fail again.
    """
    failed = 1 if was_ready else failed_starts + 1
    if is_final or failed >= FAILED_STARTS_MAX:
        return Decision(None, failed)
    return Decision(min(FIRST_DELAY_S * 2.0 ** (failed - 1), DELAY_MAX_S), failed)

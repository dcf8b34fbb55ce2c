"""Waiting for conditions: what stands where a sleep would be guessed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")
POLL_S = 0.05
# Limits are written for a machine that has nothing else to do; others are slower.
PATIENCE = 3


def wait_until(
    condition: Callable[[], Value | None], timeout_s: float, what: str
) -> Value:
    """
    Wait until *condition* returns something true, and return that.

    Raises:
        AssertionError: it did not within `PATIENCE` times *timeout_s* seconds; names
            *what*.
    """
    limit_s = PATIENCE * timeout_s
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s:g} s: {what}")
        time.sleep(POLL_S)

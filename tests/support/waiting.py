"""Waiting for conditions: what stands where a sleep would be guessed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")
POLL_S = 0.05


def wait_until(
    condition: Callable[[], Value | None], timeout_s: float, what: str
) -> Value:
    """
    Wait until *condition* returns something true, and return that.

    Raises:
        AssertionError: it did not within *timeout_s* seconds; names *what*.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(POLL_S)

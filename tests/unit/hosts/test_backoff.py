"""When an engine that ended is started again."""

from __future__ import annotations

import pytest

from vllm_pkg.hosts.standalone.backoff import Decision, after_exit


def test_delays_grow_to_a_limit_and_end():
    """Ten failed starts in a row: growing delays, at most a minute, then no more."""
    failed, delays = 0, []
    while True:
        decision = after_exit(failed, was_ready=False, is_final=False)
        failed = decision.failed_starts
        delays.append(decision.delay_s)
        if decision.delay_s is None:
            break

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60, None]


@pytest.mark.parametrize("failed", [0, 5, 9])
def test_a_final_exit_is_not_repeated(failed):
    """A permanent failure is given up on at once."""
    decision = after_exit(failed, was_ready=False, is_final=True)

    assert decision == Decision(None, failed + 1)


def test_an_engine_that_was_ready_counts_anew():
    """A crash after readiness begins the delays again."""
    assert after_exit(9, was_ready=True, is_final=False) == Decision(1.0, 1)

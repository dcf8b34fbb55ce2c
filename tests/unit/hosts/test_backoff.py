"""When an engine that ended is started again."""

from __future__ import annotations

import pytest

from vllm_pkg.hosts.standalone.backoff import (
    Decision,
    FailedStarts,
    after_exit,
    is_steady,
    with_jitter,
)


def _crash(failed):
    return after_exit(failed, was_steady=False, is_final=False)


def _pass(failed):
    return after_exit(failed, was_steady=False, is_final=False, is_passing=True)


def test_delays_grow_to_a_limit_and_end():
    """Ten failed starts in a row: growing delays, at most a minute, then no more."""
    failed, delays = FailedStarts(), []
    while True:
        decision = _crash(failed)
        failed = decision.failed
        delays.append(decision.delay_s)
        if decision.delay_s is None:
            break

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60, None]


def test_what_passes_is_tried_for_ever():
    """The same delays, at most a minute, and no end: not after ten, nor thousands."""
    failed, delays = FailedStarts(), []
    for _ in range(5000):
        decision = _pass(failed)
        failed = decision.failed
        delays.append(decision.delay_s)

    assert delays[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(delays[7:]) == {60}
    assert failed == FailedStarts(5000, 0)


def test_what_passes_hides_no_crash_loop():
    """Crashes are counted past it, and end after ten; it does not end them earlier."""
    failed, ends = FailedStarts(), []
    for _ in range(20):
        failed = _pass(failed).failed
        decision = _crash(failed)
        failed = decision.failed
        ends.append(decision.delay_s is None)

    assert ends.index(True) == 9


@pytest.mark.parametrize("count", [0, 5, 9])
@pytest.mark.parametrize("is_passing", [False, True])
def test_a_final_exit_is_not_repeated(count, is_passing):
    """A permanent failure is given up on at once."""
    decision = after_exit(
        FailedStarts(count, 0), was_steady=False, is_final=True, is_passing=is_passing
    )

    assert decision == Decision(None, FailedStarts(count + 1, int(not is_passing)))


def test_an_engine_that_was_ready_for_long_counts_anew():
    """A crash after ten minutes of readiness begins the delays again."""
    decision = after_exit(FailedStarts(9, 9), was_steady=True, is_final=False)

    assert decision == Decision(1.0, FailedStarts(1, 1))


@pytest.mark.parametrize(
    ("now_s", "steady"), [(1000.0, False), (1599.9, False), (1600.0, True)]
)
def test_ten_minutes_of_readiness_are_long(now_s, steady):
    """An engine that dies every few minutes is in a crash loop, too."""
    assert is_steady(1000.0, now_s) is steady


def test_a_delay_is_lengthened_by_a_tenth_at_most():
    """The draw decides by how much, and never shortens it."""
    assert [with_jitter(60.0, share) for share in (0.0, 0.5, 1.0)] == [60.0, 63.0, 66.0]

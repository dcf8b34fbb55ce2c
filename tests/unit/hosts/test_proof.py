"""Whether an engine has come up: each row is one look and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vllm_pkg.health.checker import Result
from vllm_pkg.hosts.fetcher.proof import Look, Outcome, is_since, judge
from vllm_pkg.state.identity import ProcessIdentity
from vllm_pkg.state.records import FailureRecord, SettingChange, StartRecord
from vllm_pkg.state.switch import Instant

LIMIT_S = 2100.0
START = StartRecord(ProcessIdentity(1, 1, "b"), 1.0, "127.0.0.1", 8000, "m")
FAILURE = FailureRecord("", 1.0, "b", "It ended.", "", 1, is_final=False, starts=1)
FINAL = replace(FAILURE, is_final=True)
LOADING = Look(Result.LOADING, START, None, 1, 10.0, is_host_running=True)
TWICE = "The engine ended 2 times while it started."


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({}, Outcome.WAIT, None),
        ({"result": Result.SUCCESS}, Outcome.READY, None),
        # It is the engine of before the restart that answers.
        ({"result": Result.SUCCESS, "start": None}, Outcome.WAIT, None),
        ({"result": Result.DISABLED, "start": None}, Outcome.READY, None),
        ({"result": Result.FAILURE}, Outcome.WAIT, None),
        ({"result": Result.FAILURE, "failure": FAILURE}, Outcome.WAIT, None),
        ({"result": Result.FAILURE, "failure": FINAL}, Outcome.FAILED, "It ended."),
        ({"failure": replace(FAILURE, starts=2)}, Outcome.FAILED, "It ended."),
        ({"starts": 2}, Outcome.WAIT, None),
        (
            {"starts": 3},
            Outcome.FAILED,
            f"{TWICE} See the service logs for the cause.",
        ),
        ({"starts": 3, "failure": FAILURE}, Outcome.FAILED, f"{TWICE} It ended."),
        ({"waited_s": 2099.9}, Outcome.WAIT, None),
        (
            {"waited_s": 2100.0},
            Outcome.FAILED,
            "The engine was not ready within 35 minutes.",
        ),
        (
            {"waited_s": 9999.0, "failure": FINAL, "is_host_running": False},
            Outcome.WAIT,
            None,
        ),
    ],
)
def test_a_look_is_judged(changes, outcome, reason):
    """What was seen leads to what stands in the row."""
    judged = judge(replace(LOADING, **changes), LIMIT_S)

    assert (judged.outcome, judged.reason) == (outcome, reason)


def test_the_fix_of_a_failure_is_kept():
    """What helps comes with the reason; without a failure nothing is known to help."""
    change = SettingChange("--revision", is_removed=True)
    failure = replace(FINAL, fix="Leave it out.", changes=(change,))

    failed = replace(LOADING, failure=failure)
    for look in (failed, replace(failed, starts=3)):
        judged = judge(look, LIMIT_S)
        assert (judged.hint, judged.changes) == ("Leave it out.", (change,))
    bare = replace(LOADING, failure=FINAL)
    for look in (replace(LOADING, starts=3), replace(LOADING, waited_s=9999.0), bare):
        judged = judge(look, LIMIT_S)
        assert (judged.hint, judged.changes) == (None, ())


def test_a_short_limit_is_told_in_seconds():
    """A limit under two minutes is told as it was set."""
    judged = judge(replace(LOADING, waited_s=20.0), 20.0)

    assert judged.reason == "The engine was not ready within 20 seconds."


@pytest.mark.parametrize(
    ("at_s", "tried", "expected"),
    [
        (5.0, None, False),
        (5.0, Instant(4.9, "b"), True),
        (5.0, Instant(5.0, "b"), False),
        (5.0, Instant(9.0, "b"), False),
        (5.0, Instant(9.0, "earlier"), True),
    ],
)
def test_what_came_after_the_swap(at_s, tried, expected):
    """A moment of this boot counts when it came after, or the swap was before it."""
    assert is_since(at_s, "b", tried) is expected

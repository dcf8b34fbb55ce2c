"""T17: a switch of models is killed, and ends as it would have without."""

from __future__ import annotations

import pytest

from support.crash.switches import (
    BLIND_RETURN,
    BLIND_SWAP,
    RANDOM,
    Order,
    run_order,
)
from support.guarantees.plugin import is_long
from support.tools import require_tool

SWEPT = (
    "A switch of models that is killed at any system call leaves the old or the new"
    " selection, and the next fetcher ends it: with the new one, or, where that fails,"
    " with the old one"
)
KILLED = (
    "Killed at random moments, a switch leaves the old or the new selection at each"
    " moment, and ends as it would have without"
)


@pytest.mark.timeout(900)
def test_a_switch_killed_at_each_call(guarantee):
    """T17: switches that work and that fail, killed at each call that writes."""
    require_tool("strace")
    found = run_order(Order(every=1 if is_long() else 4))
    guarantee(
        "T17",
        SWEPT,
        tried=found.kills,
        violations=len(found.violations),
        unit="kills",
        control="3 mutants (in place, the phase before the swap, before the return):"
        " all found",
    )
    assert found.violations == []
    assert found.kills >= (300 if is_long() else 70)


@pytest.mark.timeout(900)
def test_a_switch_killed_at_random_moments(guarantee):
    """T17: a hundred kills, and reads all the while: no read is a mixture."""
    kills = 2000 if is_long() else 100
    found = run_order(Order(how=RANDOM, kills=kills))
    guarantee(
        "T17",
        KILLED,
        tried=found.kills,
        violations=len(found.violations),
        unit="kills",
        control="the in-place mutant: found",
    )
    assert found.violations == []
    assert found.kills == kills
    assert found.switches >= kills // 20
    assert found.reads >= kills


@pytest.mark.parametrize(
    ("mutant", "call", "kind"),
    [
        ("in-place", "write", "mixed"),
        (BLIND_SWAP, "/^rename", "unfinished"),
        (BLIND_RETURN, "/^rename", "unfinished"),
    ],
)
def test_the_sweep_finds_a_wrong_order(mutant, call, kind):
    """T17: a torn write, and a phase that is written too early, are found."""
    require_tool("strace")
    found = run_order(Order(calls=(call,), mutant=mutant, until=kind))
    assert getattr(found, kind)


def test_the_random_kills_find_a_torn_write():
    """T17: where store.json is written in place, a kill or a read finds a part."""
    found = run_order(Order(how=RANDOM, kills=200, mutant="in-place", until="mixed"))
    assert found.mixed

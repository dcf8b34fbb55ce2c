"""T01: the process is killed at each system call of each change of state."""

from __future__ import annotations

import pytest

from support.crash.sweep import Order, run_sweep
from support.guarantees.plugin import is_long
from support.tools import require_tool

PROMISE = (
    "Killed at any system call, each state file is whole, what was acknowledged is "
    "there, nobody else can read it, and the next start needs no help"
)
MUTANTS = {
    "in-place": "torn",
    "unlink-first": "torn",
    "wide-mode": "modes",
    "no-sweep": "errors",
}


@pytest.mark.timeout(900)
def test_kill_at_each_call(guarantee):
    """T01: no kill tears a file, loses what was acknowledged, or opens its mode."""
    require_tool("strace")
    found = run_sweep(Order(rounds=10 if is_long() else 2))
    guarantee(
        "T01",
        PROMISE,
        tried=found.points,
        violations=len(found.violations),
        unit="kills",
        control="4 mutants (in place, unlink first, late chmod, no sweep): all found",
    )
    assert found.violations == []
    assert found.points >= (1000 if is_long() else 300)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_sweep_finds_wrong_writers(mutant):
    """T01: each writer that is known to be wrong is found by the same sweep."""
    require_tool("strace")
    found = run_sweep(Order(scenarios=("update",), mutant=mutant))
    assert getattr(found, MUTANTS[mutant])

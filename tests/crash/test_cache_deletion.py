"""T24: deletions in the model cache, killed and failing at each of their steps."""

from __future__ import annotations

import pytest

from support.crash.deletion_sweep import Order, run_sweep
from support.guarantees.plugin import is_long
from support.tools import require_tool

KILLED = (
    "Killed while it deletes a model or a revision, the service leaves whole what stays"
    " and lists the rest; the same deletion done again finishes it"
)
REFUSED = (
    "What cannot be deleted is told with the bytes that came free, and everything else"
    " is whole; the same deletion done again finishes it"
)
READING = ("openat", "/^getdents", "fsync", "/^(new)?(f|l)?stat")
MUTANTS = {
    "blobs-first": ("repository", "listing"),
    "all-blobs": ("revision", "kept"),
    "planned-bytes": ("repository", "bytes"),
    "forgets-payloads": ("store", "unfinished"),
}


@pytest.mark.timeout(900)
def test_killed_at_each_step(guarantee):
    """T24: SIGKILL at each unlink, rmdir, rename and mkdir of five deletions."""
    require_tool("strace")
    found = run_sweep(Order(every=1 if is_long() else 2))
    guarantee(
        "T24",
        KILLED,
        tried=found.points,
        violations=len(found.violations),
        unit="kills",
        control="3 wrong deletions (content before the name, shared content too, the"
        " store forgotten): all found",
    )
    assert found.violations == []
    assert found.points >= (110 if is_long() else 50)


@pytest.mark.timeout(900)
def test_each_step_refused(guarantee):
    """T24: EACCES and EBUSY at each step, and errors where it only reads."""
    require_tool("strace")
    steps = run_sweep(
        Order(what=("error=EACCES", "error=EBUSY"), every=1 if is_long() else 4)
    )
    reads = run_sweep(
        Order(what=("error=EACCES", "error=EIO"), calls=READING)
        if is_long()
        else Order(what=("error=EIO",), calls=READING, every=29)
    )
    violations = steps.violations + reads.violations
    guarantee(
        "T24",
        REFUSED,
        tried=steps.points + reads.points,
        violations=len(violations),
        unit="failed calls",
        control="a deletion that reports what it had planned: found",
    )
    assert violations == []
    assert steps.points >= (200 if is_long() else 45)
    assert reads.points >= (3000 if is_long() else 40)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_sweep_finds_wrong_deletions(mutant):
    """T24: each deletion that is known to be wrong is found by the same sweep."""
    require_tool("strace")
    case, kind = MUTANTS[mutant]
    is_killed = kind != "bytes"
    order = Order(
        what=("signal=SIGKILL" if is_killed else "error=EACCES",),
        calls=("/^unlink",),
        cases=(case,),
        mutant=mutant,
        every=3 if is_killed else 1,
    )
    assert getattr(run_sweep(order), kind)

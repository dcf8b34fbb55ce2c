"""T04: each system call of each change of state fails once, with each errno."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.crash.injection import CHANGING, READING
from support.crash.power_loss import Recorder
from support.crash.scenarios import make_deterministic_here, make_scenarios
from support.crash.sweep import Order, run_sweep
from support.guarantees.plugin import is_long
from support.settings_factory import make_settings
from support.tools import require_tool

if TYPE_CHECKING:
    from pathlib import Path

ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE", "EDQUOT")
PROMISE = (
    "A call that fails is told as a StateError, and a write as StateWriteFailed; the"
    " file is the old or the new one, never another, and what the program goes on with;"
    " the next start leaves no temporary file"
)


@pytest.mark.timeout(900)
def test_each_call_fails_with_each_error(guarantee):
    """T04: whatever call fails, files are whole and only state errors come out."""
    require_tool("strace")
    order = Order(
        what=tuple(f"error={name}" for name in ERRORS),
        calls=CHANGING + READING,
        # In the quick form each call fails with one of the errors.
        every=1 if is_long() else len(ERRORS),
    )
    found = run_sweep(order)
    guarantee(
        "T04",
        PROMISE,
        tried=found.points,
        violations=len(found.violations),
        unit="failed calls",
        control="a writer that lets errors through, and one that calls a failed write"
        " a failed read: both found",
    )
    assert found.violations == []
    assert found.points >= (2000 if is_long() else 400)


@pytest.mark.parametrize("mutant", ["raw-error", "other-error"])
def test_the_sweep_finds_a_writer_without_care(mutant):
    """T04: who lets the system's errors through, or names them wrongly, is found."""
    require_tool("strace")
    order = Order(what=("error=ENOSPC",), scenarios=("update",), mutant=mutant)
    assert run_sweep(order).errors


@pytest.mark.parametrize("size_bytes", [1, 7, 64])
def test_short_writes(tmp_path, monkeypatch, guarantee, size_bytes):
    """T04: where a write takes only some bytes, files are as after whole writes."""
    ends: dict[str, list[dict[Path, bytes]]] = {}
    for part in (0, size_bytes):
        for scenario in make_scenarios(2):
            root = tmp_path / str(part) / scenario.name
            root.mkdir(parents=True)
            settings = make_settings(root)
            with monkeypatch.context() as patch:
                make_deterministic_here(patch, 1)
                Recorder(root, write_max_bytes=part).install(patch)
                scenario.prepare(settings)
                for step in scenario.steps:
                    step(settings)
            files = {
                path.relative_to(root): path.read_bytes()
                for path in root.rglob("*")
                if path.is_file()
            }
            ends.setdefault(scenario.name, []).append(files)
    differing = [name for name, (whole, short) in ends.items() if whole != short]
    guarantee(
        "T04",
        f"Writes that take {size_bytes} bytes at a time give the same files",
        tried=len(ends),
        violations=len(differing),
        unit="scenarios",
    )
    assert differing == []
    assert len(ends) == 12

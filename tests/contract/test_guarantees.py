"""The page of guarantees is made from runs without failures, and from nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from support.guarantees.page import Refused, main, make_page
from support.guarantees.plugin import LONG_TIMEOUT_S, TORTURE
from support.guarantees.runs import Row, Run, read_run, write_run

DOCS = Path(__file__).parents[2] / "docs"
ROW = Row("T01", "Nothing is | lost", "tests/a.py::test_b", 1234, 0, "kills", "found")
RUN = Run("quick", "2026-01-02", "abc123", "2 cores", (), ("tests/c.py::d",), (ROW,))
BUG = {"bug": "It broke.", "found_by": "T01", "since": "abc", "command": "pytest x"}
RECORD = {"bugs": [BUG], "not_covered": ["Fire."]}


def test_a_row_says_everything():
    """A row holds case, promise, figures, control, test, date and commit."""
    page = make_page([RUN], RECORD)

    assert (
        "| T01 | Nothing is \\| lost | 1,234 kills | 0 | found | "
        "`test_b` in `tests/a.py` | 2026-01-02 | abc123 |\n"
    ) in page
    assert "2026-01-02, commit abc123, 2 cores. Command: `make guarantees`." in page
    assert "Skipped in this run, so not shown: `tests/c.py` (1)." in page
    assert "| It broke. | T01 | abc | `pytest x` |" in page
    assert page.endswith("## Not covered\n\n- Fire.\n")


def test_parts_of_a_form_make_one_table():
    """What was run part by part stands in one table, each row with its own commit."""
    first = replace(RUN, form="long", rows=(replace(ROW, id="T02"),))
    second = replace(RUN, form="long", date="2026-01-03", commit="def456")

    page = make_page([RUN, first, second], RECORD)

    assert page.count("## The long run") == 1
    assert (
        "2026-01-02, 2026-01-03, commit abc123, def456, 2 cores. "
        "Command: `make torture`.\n2 rows, 2,468 tries."
    ) in page
    table = page.partition("## The long run")[2]
    assert table.index("| 2026-01-03 | def456 |") < table.index("| 2026-01-02 | abc123")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (replace(RUN, failures=("tests/a.py::test_b",)), "has failures: tests/a.py"),
        (replace(RUN, rows=(replace(ROW, violations=1),)), "has violations: T01"),
        (replace(RUN, rows=(replace(ROW, tried=0),)), "tried nothing for: T01"),
        (replace(RUN, rows=()), "recorded nothing"),
    ],
)
def test_a_bad_run_makes_no_page(run, why):
    """A failure, a violation or an empty row keeps the whole page from being made."""
    with pytest.raises(Refused, match=why):
        make_page([RUN, run], RECORD)


def test_no_run_makes_no_page():
    """Without a run there is nothing to show."""
    with pytest.raises(Refused, match="no run"):
        make_page([], RECORD)


def test_a_refused_page_leaves_the_old_one(tmp_path, capsys):
    """The command ends with 1 and one line, and writes nothing."""
    (tmp_path / "track-record.yaml").write_text(yaml.safe_dump(RECORD))
    write_run(tmp_path / "guarantees" / "quick.json", RUN)
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / "guarantees.md").read_text()

    failed = replace(RUN, failures=("tests/a.py::test_b",))
    write_run(tmp_path / "guarantees" / "quick.json", failed)
    assert main([str(tmp_path)]) == 1

    assert (tmp_path / "guarantees.md").read_text() == page
    assert capsys.readouterr().err == (
        "error: no page was made: the quick run has failures: tests/a.py::test_b\n"
    )


def test_a_run_is_read_as_it_was_written(tmp_path):
    """A run survives its file."""
    write_run(tmp_path / "a" / "run.json", RUN)

    assert read_run(tmp_path / "a" / "run.json") == RUN


def test_the_published_page_is_what_its_runs_say(tmp_path, capsys):
    """The page in docs is made from the files beside it, and a changed one is found."""
    assert main([str(DOCS), "--check"]) == 0, "run: make guarantees"

    for name in ("guarantees", "guarantees.md", "track-record.yaml"):
        copy = shutil.copytree if (DOCS / name).is_dir() else shutil.copy
        copy(DOCS / name, tmp_path / name)
    with (tmp_path / "guarantees.md").open("a") as page:
        page.write("One more promise.\n")
    assert main([str(tmp_path), "--check"]) == 1
    assert "is not what its runs say" in capsys.readouterr().err


INNER = """
import pytest

def test_one(guarantee):
    guarantee("T99", "A promise", tried=3, violations=0, unit="tries", control="yes")

def test_two(guarantee):
    guarantee("T98", "Another", tried=1, violations=1, unit="tries")
    assert False

def test_three(guarantee):
    pytest.skip("no tool")

def test_four():
    assert False
"""


def _run_inner(folder, text, *arguments, **variables):
    """Run tests in a pytest of their own with the plugin; return what it printed."""
    (folder / "test_inner.py").write_text(text)
    plugin = "from support.guarantees.plugin import *\n"
    (folder / "conftest.py").write_text(plugin)
    quick = {name: value for name, value in os.environ.items() if name != TORTURE}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-c", DOCS.parent / "pyproject.toml", "--rootdir", DOCS.parent),
            *(folder, *arguments),
        ],
        cwd=DOCS.parent,
        env=quick | variables,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize("processes", [0, 2])
def test_the_recorder_writes_what_tests_say(tmp_path, processes):
    """Rows, failures and skips stand in the file, also from several processes."""
    options = ("--only-guarantees", "--numprocesses", str(processes))
    shown = _run_inner(tmp_path, INNER, "--guarantees", tmp_path / "run.json", *options)
    assert "1 failed, 1 passed, 1 skipped" in shown, shown

    document = json.loads((tmp_path / "run.json").read_text())
    names = [row["id"] for row in document["rows"]]
    assert names == ["T98", "T99"]
    assert document["rows"][1]["control"] == "yes"
    assert [name.rpartition("::")[2] for name in document["failures"]] == ["test_two"]
    assert [name.rpartition("::")[2] for name in document["skipped"]] == ["test_three"]
    assert document["form"] == "quick"


TIMED = """
import pytest
from pytest_timeout import _get_item_settings

pytestmark = pytest.mark.timeout(900)

def timeout_s(request):
    return _get_item_settings(request.node).timeout

def test_of_the_file(request):
    assert timeout_s(request) == {of_the_file}

@pytest.mark.timeout(30)
def test_of_its_own(request):
    assert timeout_s(request) == {of_its_own}

@pytest.mark.timeout(99_999)
def test_of_a_very_long_one(request):
    assert timeout_s(request) == 99_999
"""


@pytest.mark.parametrize(
    ("variables", "of_the_file", "of_its_own"),
    [({TORTURE: "1"}, LONG_TIMEOUT_S, LONG_TIMEOUT_S), ({}, 900, 30)],
    ids=["long", "quick"],
)
def test_the_long_form_has_its_time(tmp_path, variables, of_the_file, of_its_own):
    """The marks of the quick form do not end the long one; a longer mark stays."""
    text = TIMED.format(of_the_file=of_the_file, of_its_own=of_its_own)

    assert "3 passed" in _run_inner(tmp_path, text, **variables)

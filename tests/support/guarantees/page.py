"""
The page of guarantees: ``python -m support.guarantees.page FOLDER``.

It is made from the files of runs and from the hand-written track record, and from
nothing else; a run with a failure makes no page.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from support.guarantees.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.guarantees.runs import Row, Run

INTRODUCTION: Final = """\
# Guarantees

What this service promises, how each promise was tried, and what came of it. Made by
`make guarantees` out of real runs; nothing in the tables of runs is written by hand.
A row without a violation is evidence, not proof: it holds for what was tried, on the
machine named. "Control" says how the test itself was shown to find a violation.
`+` behind a commit means: files differed from that commit when the run was made.
"""
TRACK_RECORD: Final = """\
## Track record

Bugs that were found, by what, since when they were there, and how to see it again.
"""


class Refused(Exception):
    """No page is made of this; the text says why."""


def make_page(runs: Sequence[Run], track_record: dict[str, Any]) -> str:
    """
    Return the page as Markdown.

    Args:
        runs: At least one run.
        track_record: ``bugs`` (bug, found_by, since, command) and ``not_covered``.
    Raises:
        Refused: a run failed, recorded a violation, or recorded nothing.
    """
    if not runs:
        raise Refused("there is no run; make one: make guarantees")
    for run in runs:
        _check(run)
    forms = dict.fromkeys(run.form for run in runs)
    tables = [
        _form_part(form, [run for run in runs if run.form == form]) for form in forms
    ]
    parts = [INTRODUCTION, *tables, _bugs_part(track_record["bugs"])]
    covered = "\n".join(f"- {text}" for text in track_record["not_covered"])
    parts.append(f"## Not covered\n\n{covered}\n")
    return "\n".join(parts)


def _check(run: Run) -> None:
    if run.failures:
        failed = ", ".join(run.failures)
        raise Refused(f"the {run.form} run has failures: {failed}")
    broken = [row.id for row in run.rows if row.violations]
    if broken:
        raise Refused(f"the {run.form} run has violations: {', '.join(broken)}")
    if not run.rows:
        raise Refused(f"the {run.form} run recorded nothing")
    untried = [row.id for row in run.rows if row.tried <= 0]
    if untried:
        raise Refused(f"the {run.form} run tried nothing for: {', '.join(untried)}")


def _form_part(form: str, runs: Sequence[Run]) -> str:
    """Return the table of a form, whose parts may have been run one by one."""
    command = "make torture" if form == "long" else "make guarantees"
    rows = sorted(
        ((row, run) for run in runs for row in run.rows),
        key=lambda pair: (pair[0].id, pair[0].test),
    )
    total = sum(row.tried for row, _ in rows)
    facts = (
        ", ".join(sorted({run.date for run in runs})),
        f"commit {', '.join(sorted({run.commit for run in runs}))}",
        "; ".join(sorted({run.machine for run in runs})),
    )
    lines = [
        f"## The {form} run",
        "",
        f"{', '.join(facts)}. Command: `{command}`.",
        f"{len(rows)} rows, {total:,} tries.",
        "",
        "| case | promise | tried | violations | control | test | date | commit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(row, run) for row, run in rows),
        "",
    ]
    skipped = [node for run in runs for node in run.skipped]
    if skipped:
        count = Counter(node.partition("::")[0] for node in skipped)
        names = ", ".join(f"`{file}` ({n})" for file, n in sorted(count.items()))
        lines += [f"Skipped in this run, so not shown: {names}.", ""]
    return "\n".join(lines)


def _row(row: Row, run: Run) -> str:
    file, _, name = row.test.partition("::")
    cells = (
        row.id,
        row.promise,
        f"{row.tried:,} {row.unit}",
        str(row.violations),
        row.control or "none",
        f"`{name}` in `{file}`",
        run.date,
        run.commit,
    )
    return _line(cells)


def _bugs_part(bugs: Sequence[dict[str, str]]) -> str:
    head = "| bug | found by | since | command |\n| --- | --- | --- | --- |"
    rows = [
        _line((bug["bug"], bug["found_by"], bug["since"], f"`{bug['command']}`"))
        for bug in bugs
    ]
    return "\n".join([TRACK_RECORD, head, *rows, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Write ``guarantees.md`` into a folder of documents.

    Args:
        arguments: The folder with ``track-record.yaml`` and with
            ``guarantees/quick.json`` and ``guarantees/long/*.json``.
    Returns:
        0, or 1 when no page is made; the old one stays then.
    """
    parser = argparse.ArgumentParser(description="Make the page of guarantees.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="only compare")
    given = parser.parse_args(arguments)
    page_file = given.folder / "guarantees.md"
    folder = given.folder / "guarantees"
    files = [*folder.glob("quick.json"), *sorted(folder.glob("long/*.json"))]
    text = (given.folder / "track-record.yaml").read_text(encoding="utf-8")
    try:
        page = make_page([read_run(file) for file in files], yaml.safe_load(text))
    except Refused as error:
        print(f"error: no page was made: {error}", file=sys.stderr)
        return 1
    if given.check:
        same = page_file.read_text(encoding="utf-8") == page
        if not same:
            print(f"error: {page_file} is not what its runs say", file=sys.stderr)
        return 0 if same else 1
    page_file.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

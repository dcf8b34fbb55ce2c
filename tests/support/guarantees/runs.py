"""
What a run of the tests says about the guarantees, as a file.

A run is one JSON document: when, which commit, which machine, what failed or was
skipped, and one row per guarantee that a test recorded.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Row:
    """
    One guarantee, as one test tried it.

    Args:
        id: Number of the test case, such as ``T01``.
        promise: What is promised, one sentence.
        test: Node id of the test.
        tried: How many times it was tried.
        violations: How many times the promise was broken.
        unit: What was counted, such as "kill points".
        control: How the test was shown to find a violation.
    """

    id: str
    promise: str
    test: str
    tried: int
    violations: int
    unit: str
    control: str


@dataclass(frozen=True)
class Run:
    """
    One run of the tests that record guarantees.

    Args:
        form: ``quick`` or ``long``.
        date: UTC date.
        commit: Short id of the commit; with ``+`` when files differed from it.
        machine: What it ran on, without names.
        failures: Node ids of the tests that failed.
        skipped: Node ids of the tests that were skipped.
        rows: What was recorded.
    """

    form: str
    date: str
    commit: str
    machine: str
    failures: tuple[str, ...]
    skipped: tuple[str, ...]
    rows: tuple[Row, ...]


def write_run(path: Path, run: Run) -> None:
    """Write a run as JSON, making the folder when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")


def read_run(path: Path) -> Run:
    """Read what `write_run` wrote."""
    document = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(Row(**row) for row in document.pop("rows"))
    failures = tuple(document.pop("failures"))
    skipped = tuple(document.pop("skipped"))
    return Run(**document, failures=failures, skipped=skipped, rows=rows)


def describe_machine() -> str:
    """Return cores, kernel and Python of this machine, without names."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()} "
        f"{platform.machine()}, Python {platform.python_version()}"
    )


def today() -> str:
    """Return the UTC date, ISO 8601."""
    return datetime.now(UTC).date().isoformat()


def current_commit(root: Path) -> str:
    """Return the short id of the commit, with ``+`` when files differ from it."""
    commit = _git(root, "rev-parse", "--short=10", "HEAD").strip()
    # The page and its data change by being made.
    changed = _git(root, "status", "--porcelain", "--", ".", ":!docs/guarantees*")
    return commit + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
    ).stdout

"""
The recorder: tests say what they tried, and a run of them becomes a file.

A test asks for the fixture ``guarantee`` and calls it with its figures, before it
asserts them. ``pytest --guarantees FILE`` writes the file, and with
``--only-guarantees`` it runs only such tests. Rows travel in the reports of the tests,
so that it is all the same whether pytest runs them itself or in several processes.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import pytest

from support.guarantees.runs import (
    Row,
    Run,
    current_commit,
    describe_machine,
    today,
    write_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TORTURE: Final = "VLLM_PKG_TORTURE"
FIXTURE: Final = "guarantee"
# For each test of the long form; the marks and pyproject.toml say it of the quick one.
LONG_TIMEOUT_S: Final = 14_400
_OPTION: Final = "--guarantees"
_ONLY: Final = "--only-guarantees"


@dataclass
class Recorder:
    """What the tests of one session recorded."""

    rows: list[Row] = field(default_factory=list)
    failures: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)


class Guarantee(Protocol):
    """How a test records its figures."""

    def __call__(
        self,
        id: str,  # noqa: A002  # the name of the column
        promise: str,
        *,
        tried: int,
        violations: int,
        unit: str,
        control: str = "",
    ) -> None:
        """Record one row; see `Row` for the fields."""


_KEY: Final = pytest.StashKey[Recorder]()
# pytest_runtest_logreport is told of no session.
_SESSIONS: list[Recorder] = []


def is_long() -> bool:
    """Whether the long form of the tests was asked for."""
    return bool(os.environ.get(TORTURE))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file, and the one that selects recording tests."""
    parser.addoption(
        _OPTION,
        metavar="FILE",
        help="write what the tests record of guarantees to FILE",
    )
    parser.addoption(
        _ONLY,
        action="store_true",
        help="run only the tests that record guarantees",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start with an empty record."""
    recorder = Recorder()
    config.stash[_KEY] = recorder
    _SESSIONS[:] = [recorder]


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """
    Give the long form its time, and leave out the tests that record nothing.

    The latter only when that was asked for.
    """
    if is_long():
        for item in items:
            _raise_timeout(item)
    if not config.getoption(_ONLY):
        return
    recording = [item for item in items if FIXTURE in _fixtures(item)]
    kept = set(recording)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = recording


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was recorded, and what failed or was skipped."""
    if report.when == "call":
        rows = (row for name, row in report.user_properties if name == FIXTURE)
        # From another process it comes as JSON.
        _SESSIONS[0].rows.extend(Row(**cast("dict[str, Any]", row)) for row in rows)
    if report.failed:
        _SESSIONS[0].failures.add(report.nodeid)
    if report.skipped:
        _SESSIONS[0].skipped.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the file that was asked for."""
    path = session.config.getoption(_OPTION)
    is_part = hasattr(session.config, "workerinput")
    if not path or is_part:
        return
    recorder = session.config.stash[_KEY]
    run = Run(
        form="long" if is_long() else "quick",
        date=today(),
        commit=current_commit(session.config.rootpath),
        machine=describe_machine(),
        failures=tuple(sorted(recorder.failures)),
        skipped=tuple(sorted(recorder.skipped)),
        rows=tuple(sorted(recorder.rows, key=lambda row: (row.id, row.test))),
    )
    write_run(Path(path), run)


@pytest.fixture(name=FIXTURE)
def guarantee_fixture(request: pytest.FixtureRequest) -> Guarantee:
    """Return the function by which a test records its figures."""

    def record(
        id: str,  # noqa: A002
        promise: str,
        *,
        tried: int,
        violations: int,
        unit: str,
        control: str = "",
    ) -> None:
        name = request.node.nodeid
        row = Row(id, promise, name, tried, violations, unit, control)
        request.node.user_properties.append((FIXTURE, asdict(row)))

    return record


def _raise_timeout(item: pytest.Item) -> None:
    mark = item.get_closest_marker("timeout")
    given_s = max(mark.args, default=0) if mark else 0
    # The first mark counts, so the longer time goes before what the test has.
    longer = pytest.mark.timeout(max(given_s, LONG_TIMEOUT_S))
    item.add_marker(longer, append=False)


def _fixtures(item: pytest.Item) -> Iterable[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else ()

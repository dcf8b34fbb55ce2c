"""The table of causes against one log for each of them."""

from __future__ import annotations

import time

import pytest

from support.engine_logs import HEALTHY, load_logs
from vllm_pkg.engine.diagnosis.changes import describe_changes
from vllm_pkg.engine.diagnosis.lines import LINE_CHARACTERS_MAX, read_line
from vllm_pkg.engine.diagnosis.matcher import Diagnosis
from vllm_pkg.engine.diagnosis.rules import CauseTable, load_causes
from vllm_pkg.engine.exit_report import report_exit
from vllm_pkg.engine.options import load_options
from vllm_pkg.engine.reserved import RESERVED_OPTIONS, reserved_environment_problem

LOGS = load_logs()
FAILED = tuple(log for log in LOGS if log.cause != HEALTHY)
# What the rules also find in logs of others, which come first: a cause is told by one
# line in two ways, or by a second line below the first.
ALSO_FOUND = {
    "context-exceeds-memory": {"context-exceeds-memory-by-far"},
    "shared-memory-full": {"disk-full"},
}


def _finish(log, table):
    diagnosis = Diagnosis(table)
    for line in log.lines:
        diagnosis.feed(read_line(line))
    return diagnosis.finish(log.exit_code)


def test_every_cause_has_a_log():
    """There are more than 25 causes that a log tells, each with one, and no others."""
    causes = load_causes().causes
    told = {id_ for id_, rule in causes.items() if rule.match or rule.exit_codes}

    assert len(told) >= 25
    assert {log.cause for log in FAILED} == told
    assert all(log.source for log in LOGS)


def test_many_logs_are_of_real_starts():
    """At least ten were written by vLLM itself, started wrongly."""
    real = [log for log in FAILED if log.source.startswith("real start")]

    assert len(real) >= 10


@pytest.mark.parametrize("log", FAILED, ids=lambda log: log.cause)
def test_the_cause_is_found(log):
    """Log and exit status give the cause, whole sentences, and the exact change."""
    report = report_exit(log.exit_code, log.lines)

    assert report.cause == log.cause
    assert describe_changes(report.changes) == log.change
    assert report.explanation is not None
    for text in (report.summary, report.explanation, report.hint):
        assert text.endswith(".")
        assert "{" not in text
    assert report.evidence is None or len(report.evidence) <= 300


@pytest.mark.parametrize("log", FAILED, ids=lambda log: log.cause)
def test_no_other_cause_is_found_in_it(log):
    """Alone, no other rule that is specific finds anything in a cause's log."""
    found = set()
    for id_, rule in load_causes().causes.items():
        cause = _finish(log, CauseTable(causes={id_: rule}))
        if cause is not None and not rule.is_general:
            found.add(id_)

    is_general = load_causes().causes[log.cause].is_general
    own = set() if is_general else {log.cause}
    assert found == own | ALSO_FOUND.get(log.cause, set())


def test_a_start_that_succeeded_has_no_cause():
    """The log of a healthy engine, warnings included, gives none."""
    (healthy,) = (log for log in LOGS if log.cause == HEALTHY)
    text = "\n".join(healthy.lines)

    ready = healthy.lines.index("INFO:     Application startup complete.")

    assert "WARNING" in text
    assert "Too many open files" in text
    assert report_exit(1, healthy.lines[:ready]).cause is None
    assert report_exit(1, healthy.lines[: ready + 1]).cause is None
    assert report_exit(0, healthy.lines).cause is None


@pytest.mark.parametrize("log", FAILED, ids=lambda log: log.cause)
def test_what_was_told_before_readiness_is_no_cause_later(log):
    """After the engine was ready, what its start said does not explain its end."""
    if not load_causes().causes[log.cause].match:
        return
    before = Diagnosis(load_causes())
    for line in (*log.lines, "INFO:     Application startup complete."):
        before.feed(read_line(line))

    assert before.finish(1) is None


def test_changes_name_what_may_be_set():
    """Every option exists and is not reserved, and so is every variable."""
    options = load_options()
    for rule in load_causes().causes.values():
        for change in rule.changes:
            name = change.set or change.remove or ""
            if name.startswith("-"):
                assert options[name].name not in RESERVED_OPTIONS
            else:
                assert reserved_environment_problem(name) is None


def test_a_long_log_is_read_quickly():
    """10 MB of usual lines take a second or two, and the cause behind them is found."""
    usual = (
        "(APIServer pid=1) INFO 11-21 20:00:01 [model.py:733] Resolved architecture: L",
        "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01]",
        '(EngineCore pid=2) ERROR 11-21 20:00:01 [core.py:9]   File "a.py", line 1, in',
        "(EngineCore pid=2) ERROR 11-21 20:00:01 [core.py:9] a line that tells nothing",
    )
    count = 10_000_000 // sum(len(line) + 1 for line in usual)
    last = "MemoryError"
    started_s = time.process_time()

    report = report_exit(1, (*usual * count, last))

    assert report.cause == "system-out-of-memory"
    assert time.process_time() - started_s < 10


@pytest.mark.parametrize(
    "filling", ["(", "[", "a", "1", " ", "'", "`", ".", "1.", "x ("]
)
def test_long_lines_take_no_time(filling):
    """No pattern goes back and forth over a long line of whatever it looks for."""
    table = load_causes()
    parts = [
        "".join(match.contains)
        for rule in table.causes.values()
        for match in rule.match
        if match.pattern is not None
    ]
    filled = filling * LINE_CHARACTERS_MAX
    started_s = time.process_time()
    for part in parts:
        for text in (f"Error: {part}{filled}", f"Error: {filled[:3900]}{part}"):
            for id_, rule in table.causes.items():
                diagnosis = Diagnosis(CauseTable(causes={id_: rule}))
                diagnosis.feed(read_line(text))

    assert time.process_time() - started_s < 20

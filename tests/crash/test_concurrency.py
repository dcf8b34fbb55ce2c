"""T05: many processes change one store at once, with locks and without."""

from __future__ import annotations

import pytest

from support.crash.counting import READER, WRITER, Task, count_of, run_tasks
from support.guarantees.plugin import is_long
from support.settings_factory import make_settings
from vllm_pkg.state import atomic

WRITERS = 8
READERS = 2
TIMEOUT_S = 600.0


def run(folder, count, **options):
    """Run all writers and readers over one store; return counter and reports."""
    atomic.make_folder(folder / "main")
    tasks = [
        Task(role, str(folder), count, **options)
        for role in (WRITER,) * WRITERS + (READER,) * READERS
    ]
    reports = run_tasks(tasks, TIMEOUT_S)
    return count_of(make_settings(folder)), reports[:WRITERS], reports[WRITERS:]


@pytest.mark.timeout(900)
def test_no_change_is_lost(tmp_path, guarantee):
    """T05: 8 writers and 2 readers: the sum is exact, and no read is torn."""
    each = 500 if is_long() else 150
    total, writers, readers = run(tmp_path, each)
    errors = [text for report in (*writers, *readers) for text in report.errors]
    lost = WRITERS * each - total
    backwards = sum(report.seen for report in readers)
    refused = sum(report.refused for report in writers)
    guarantee(
        "T05",
        "Processes that change the store at once lose no change, and no reader sees a "
        "torn or an older store",
        tried=WRITERS * each,
        violations=abs(lost) + len(errors) + backwards + refused,
        unit="changes by 8 processes",
        control="without the check of the content and without locks: changes lost",
    )
    assert errors == []
    assert (total, refused, backwards) == (WRITERS * each, 0, 0)
    assert all(report.done for report in readers)
    waits_s = [report.wait_max_s for report in (*writers, *readers)]
    guarantee(
        "T05",
        "No change waits longer than 2 s for the lock",
        tried=WRITERS * each,
        violations=sum(wait > 2.0 for wait in waits_s),
        unit=f"changes; the longest took {max(waits_s):.1f} s",
    )
    assert max(waits_s) <= 2.0


@pytest.mark.timeout(900)
def test_without_locks_nothing_is_lost_in_silence(tmp_path, guarantee):
    """T05: where flock does nothing, a conflict is told, and what is told done is."""
    each = 500 if is_long() else 150
    total, writers, readers = run(tmp_path, each, has_locks=False)
    errors = [text for report in (*writers, *readers) for text in report.errors]
    done = sum(report.done for report in writers)
    refused = sum(report.refused for report in writers)
    guarantee(
        "T05",
        "Where locks do nothing, a change is made or refused, never lost in silence",
        tried=WRITERS * each,
        violations=abs(done - total) + len(errors),
        unit=f"changes, of which {refused:,} were refused",
        control="without the check of the content: changes lost",
    )
    assert errors == []
    assert total == done
    # Else it was not tried: the writers never met.
    assert refused > 0


def test_without_the_check_changes_are_lost(tmp_path):
    """T05: without the check of the content, and without locks, changes are lost."""
    total, writers, _ = run(tmp_path, 20, has_locks=False, mutant="unchecked")
    assert total < sum(report.done for report in writers)


def test_locks_alone_are_enough(tmp_path):
    """T05: the locks work by themselves: without the check nothing is lost either."""
    total, writers, _ = run(tmp_path, 10, mutant="unchecked")
    assert total == sum(report.done for report in writers) == WRITERS * 10

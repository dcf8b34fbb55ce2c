"""
Why the last start has ended, where no host sees it: StartOS starts the daemon again.

Its log is kept, and tells it. Written down once, by whoever looks first: the daemon at
its next start, or a health check before that.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.exit_report import report_end
from vllm_pkg.engine.recorded_start import last_log
from vllm_pkg.engine.start_failure import selection_of
from vllm_pkg.engine.start_log import read_last_start
from vllm_pkg.settings_table import Profile
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from vllm_pkg.clock import Clock
    from vllm_pkg.engine.exit_report import ExitReport
    from vllm_pkg.settings import Settings

VMSTAT_FILE: Final = Path("/proc/vmstat")
_MEMORY_KILLS: Final = "oom_kill"


def count_memory_kills(vmstat: Path = VMSTAT_FILE) -> int | None:
    """Return how many programs the kernel has ended for want of memory, since boot."""
    try:
        words = [line.split() for line in vmstat.read_text().splitlines()]
        return next(int(count) for name, count in words if name == _MEMORY_KILLS)
    except (OSError, StopIteration, ValueError):
        return None


def note_last_end(settings: Settings, clock: Clock, vmstat: Path = VMSTAT_FILE) -> None:
    """
    Write down why the last start has failed, unless somebody did, or it was stopped.

    Nothing is written where a host sees how the engine ends: it knows more. Nor of what
    is not selected any more.

    Args:
        settings: Where records and logs are.
        clock: Boot time.
        vmstat: The kernel's counters.
    Raises:
        StateError: a record or the log cannot be read or written.
    """
    start = records.read_start(settings)
    if settings.profile is not Profile.STARTOS or start is None:
        return
    boot_id = clock.boot_id()
    if start.process.boot_id != boot_id or is_alive(start.process, boot_id):
        return
    earlier = records.read_failure(settings)
    if earlier is not None and earlier.boot_id == boot_id:
        if earlier.at_s >= start.started_s:
            return
    else:
        earlier = None
    selected = selection_of(observe_store(settings))
    if selected is None or start.selection != fingerprint(*selected):
        return
    log = last_log(settings)
    if log is None:
        return
    kills = count_memory_kills(vmstat)
    is_short = None not in {kills, start.memory_kills} and kills != start.memory_kills
    report = report_end(read_last_start(log), selected, is_short_of_memory=is_short)
    if report is not None:
        record = _record(start, report, log, earlier)
        records.write_record(settings.failure_file, record)


def _record(
    start: records.StartRecord,
    report: ExitReport,
    log: Path,
    earlier: records.FailureRecord | None,
) -> records.FailureRecord:
    is_same = earlier is not None and earlier.selection == start.selection
    ended = datetime.fromtimestamp(log.stat().st_mtime, UTC)
    return records.FailureRecord(
        at=ended.isoformat(timespec="seconds"),
        # When it was last heard of: after its own beginning, and before the next one's.
        at_s=max(start.started_s, start.updated_s or 0.0),
        boot_id=start.process.boot_id,
        summary=report.summary,
        hint=report.hint,
        exit_code=None,
        # The host starts it again, whatever it is.
        is_final=False,
        starts=earlier.starts + 1 if earlier is not None and is_same else 1,
        log_tail=report.log_tail,
        cause=report.cause,
        explanation=report.explanation,
        evidence=report.evidence,
        changes=report.changes,
        selection=start.selection,
        fix=report.hint,
    )

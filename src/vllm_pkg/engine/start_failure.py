"""Why a model is given up before there is an engine, and writing that down."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vllm_pkg.engine.acceptor import Accepted, examine_arguments
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.exit_report import report_error
from vllm_pkg.engine.options import load_options
from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.state import records

if TYPE_CHECKING:
    from vllm_pkg.clock import Clock
    from vllm_pkg.engine.diagnosis.changes import Selection
    from vllm_pkg.engine.exit_report import ExitReport
    from vllm_pkg.errors import ServiceError
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.store import Store


def selection_of(store: Store) -> Selection | None:
    """Return what a store has selected, as the acceptor returns it; None: refused."""
    accepted = examine_arguments(store.serve_args, load_options())
    if not isinstance(accepted, Accepted):
        return None
    return accepted.arguments, store.serve_env


def explain(error: ServiceError, store: Store) -> ExitReport:
    """Report on an error that keeps what a store has selected from being served."""
    return report_error(error, selection_of(store))


def record_failure(
    settings: Settings, error: ServiceError, selected: Selection | None, clock: Clock
) -> None:
    """
    Write down why the daemon, this process, starts no engine.

    Args:
        settings: Where the record is.
        error: Why.
        selected: What was to be served; None: it came not so far.
        clock: Boot time.
    """
    report = report_error(error, selected)
    record = records.FailureRecord(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        at_s=clock.now_s(),
        boot_id=clock.boot_id(),
        summary=report.summary,
        hint=report.hint,
        exit_code=error.exit_code,
        # Whether to try again is for the host to decide.
        is_final=False,
        starts=1,
        cause=report.cause,
        explanation=report.explanation,
        evidence=report.evidence,
        changes=report.changes,
        selection=None if selected is None else fingerprint(*selected),
        fix=report.hint,
        pid=os.getpid(),
    )
    # A full disk may be the very failure: then the log alone has to tell it.
    with contextlib.suppress(StateWriteFailed):
        records.write_record(settings.failure_file, record)

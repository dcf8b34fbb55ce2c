"""
What takes long and goes on beside the service: downloads asked for, and checks.

Each one is a process of its own, ``vllm-pkg model pull`` or ``model verify``, which
outlives whoever has asked for it. It has a folder under ``run/jobs`` with up to four
files, each written by one side only, so that no lock is needed:

``record.json``    what it is, and which process does it
``progress.json``  how far it is, written by the process
``result.json``    what came of it, written by the process
``cancelled``      that somebody has ended it
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.background import start_in_background
from vllm_pkg.engine.processes import own_identity, send_signal
from vllm_pkg.errors import NotAllowedInState, NotFound, ServiceError, StateWriteFailed
from vllm_pkg.settings_table import environment_name
from vllm_pkg.state import atomic, documents
from vllm_pkg.state.identity import ProcessIdentity, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_pkg.settings import Settings

# Of jobs that are over, the newest are kept for those who ask what came of them.
KEPT: Final = 20
_ID: Final = re.compile(r"[0-9a-f]{12}")
_RECORD: Final = "record.json"
_PROGRESS: Final = "progress.json"
_RESULT: Final = "result.json"
_CANCELLED: Final = "cancelled"
_LOG: Final = "output.log"


class Kind(StrEnum):
    """What a job does."""

    PULL = "pull"
    VERIFY = "verify"


class State(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process has ended without a word, as when the machine was restarted."""


@dataclass(frozen=True)
class Job:
    """
    One job.

    Args:
        id: Its name.
        kind: What it does.
        model: For which model; empty: for the selected one, or for all in the cache.
        state: Where it is.
        began_at: When it was asked for, UTC.
        progress: How far it is: for a download as `Transfer.as_json`, for a check
            ``{"file", "bytes_done"}``; None: nothing is known yet.
        result: What came of it; None: it is not done.
        error: Why it failed, as ``{"code", "message", "hint"}``; None: it did not.
    """

    id: str
    kind: Kind
    model: str
    state: State
    began_at: datetime
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.state is State.RUNNING


@dataclass(frozen=True)
class Reporter:
    """
    How a process tells about the job it does.

    Args:
        folder: The job's.
    """

    folder: Path

    def progress(self, document: dict[str, Any]) -> None:
        """Tell how far it is; that nobody can be told is no reason to end."""
        with contextlib.suppress(StateWriteFailed):
            _write(self.folder / _PROGRESS, document)

    def done(self, document: dict[str, Any]) -> None:
        """
        Tell what came of it.

        Raises:
            StateWriteFailed: it cannot be written.
        """
        _write(self.folder / _RESULT, {"result": document})

    def failed(self, error: ServiceError) -> None:
        """Tell why it failed."""
        with contextlib.suppress(StateWriteFailed):
            _write(self.folder / _RESULT, error.as_json())


def start_job(settings: Settings, kind: Kind, model: str, *options: str) -> Job:
    """
    Start a job in a process of its own, unless the very same one runs already.

    Args:
        settings: Of the service.
        kind: What it is to do.
        model: For which model; empty: see `Job`.
        options: Further arguments of the command.
    Returns:
        The job, running.
    Raises:
        StateWriteFailed: its folder or its process cannot be made.
    """
    wanted = [model, *options]
    for job_id in _ids(settings):
        job = _read(settings, job_id)
        is_same = _record(settings, job_id).get("wanted") == wanted
        if job and job.is_running and job.kind is kind and is_same:
            return job
    job_id = new_id()
    folder = _make_folder(settings, job_id)
    # Everything after "--" is a name, whatever it begins with.
    argv = [sys.executable, "-m", "vllm_pkg", "model", str(kind), "--json"]
    argv += ["--job", job_id, *options, *(("--", model) if model else ())]
    try:
        process = start_in_background(argv, folder / _LOG, _env(settings))
    except OSError as error:
        raise atomic.write_failed(folder / _LOG, error) from error
    _write_record(folder, kind, wanted, process)
    return find_job(settings, job_id)


def new_id() -> str:
    """Return a name that no other job has."""
    return secrets.token_hex(6)


@contextlib.contextmanager
def reporting(
    settings: Settings, kind: Kind, model: str, job_id: str | None
) -> Iterator[Reporter]:
    """
    Let others see what this process does inside the block, and why it fails.

    Args:
        settings: Where jobs are written down.
        kind: What is done.
        model: For which model.
        job_id: The job that this process was started for; None: it is a new one.
    Raises:
        StateWriteFailed: its folder cannot be made.
    """
    if job_id is None or not _ID.fullmatch(job_id):
        job_id = new_id()
        folder = _make_folder(settings, job_id)
        _write_record(folder, kind, [model], own_identity())
    reporter = Reporter(_folder(settings, job_id))
    try:
        yield reporter
    except ServiceError as error:
        reporter.failed(error)
        raise


def list_jobs(settings: Settings, kind: Kind | None = None) -> tuple[Job, ...]:
    """Return the jobs that run and those that are over, the newest first."""
    found = (_read(settings, job_id) for job_id in _ids(settings))
    jobs = [job for job in found if job and (kind is None or job.kind is kind)]
    return tuple(sorted(jobs, key=lambda job: (job.began_at, job.id), reverse=True))


def find_job(settings: Settings, job_id: str, kind: Kind | None = None) -> Job:
    """
    Return a job.

    Args:
        settings: Where jobs are written down.
        job_id: Its name.
        kind: What it has to be; None: anything.
    Raises:
        NotFound: there is none of that name, or it was forgotten.
    """
    job = _read(settings, job_id) if _ID.fullmatch(job_id) else None
    if job is None or (kind is not None and job.kind is not kind):
        raise NotFound(f"there is no job {job_id[:80]!r}", hint="list those there are")
    return job


def cancel_job(settings: Settings, job_id: str) -> Job:
    """
    End a job; what has been downloaded stays.

    Raises:
        NotFound: there is none of that name.
        NotAllowedInState: it is over already.
        StateWriteFailed: it cannot be noted.
    """
    job = find_job(settings, job_id)
    identity = _identity(_record(settings, job_id))
    if not job.is_running or identity is None:
        raise NotAllowedInState(
            "that is over already", hint="there is nothing to be ended"
        )
    # First, so that its end is not taken for an accident.
    _write(_folder(settings, job_id) / _CANCELLED, {})
    send_signal(identity.pid, signal.SIGTERM)
    return find_job(settings, job_id)


def _env(settings: Settings) -> dict[str, str]:
    volumes = {"main": settings.main, "public": settings.public}
    named = {environment_name(name): str(path) for name, path in volumes.items()}
    return os.environ | named


def _read(settings: Settings, job_id: str) -> Job | None:
    record = _record(settings, job_id)
    folder = _folder(settings, job_id)
    # Before the result is looked for, which may be written in between.
    is_running = _is_running(record)
    outcome = _document(folder / _RESULT) or {}
    try:
        return Job(
            id=job_id,
            kind=Kind(record["kind"]),
            model=str(record["wanted"][0]),
            state=_state(folder, outcome, is_running=is_running),
            began_at=datetime.fromisoformat(record["began_at"]),
            progress=_document(folder / _PROGRESS),
            result=outcome.get("result"),
            error=outcome.get("error"),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _state(folder: Path, outcome: dict[str, Any], *, is_running: bool) -> State:
    if "result" in outcome:
        return State.DONE
    if "error" in outcome:
        return State.FAILED
    if (folder / _CANCELLED).exists():
        return State.CANCELLED
    return State.RUNNING if is_running else State.INTERRUPTED


def _is_running(record: dict[str, Any]) -> bool:
    identity = _identity(record)
    return identity is not None and is_alive(identity, BootClock().boot_id())


def _identity(record: dict[str, Any]) -> ProcessIdentity | None:
    try:
        return ProcessIdentity(**record["process"])
    except (KeyError, TypeError):
        return None


def _record(settings: Settings, job_id: str) -> dict[str, Any]:
    return _document(_folder(settings, job_id) / _RECORD) or {}


def _document(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(ServiceError):
        return documents.observe_object(path)
    return None


def _write_record(
    folder: Path, kind: Kind, wanted: list[str], process: ProcessIdentity
) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    document = {
        "kind": str(kind),
        "wanted": wanted,
        "began_at": now,
        "process": asdict(process),
    }
    _write(folder / _RECORD, document)


def _write(path: Path, document: dict[str, Any]) -> None:
    # After a loss of power there is no such process any more.
    data = documents.format_object(document)
    atomic.write_file(path, data, is_durable=False)


def _make_folder(settings: Settings, job_id: str) -> Path:
    for old in list_jobs(settings)[KEPT:]:
        if not old.is_running:
            shutil.rmtree(_folder(settings, old.id), ignore_errors=True)
    folder = _folder(settings, job_id)
    atomic.make_folder(folder)
    return folder


def _folder(settings: Settings, job_id: str) -> Path:
    return settings.jobs_dir / job_id


def _ids(settings: Settings) -> list[str]:
    with contextlib.suppress(OSError):
        names = [path.name for path in settings.jobs_dir.iterdir()]
        return [name for name in names if _ID.fullmatch(name)]
    return []

"""
Records of running processes: what one process writes down for others to read.

They live in the run folder, can be rebuilt, and are never backed up. A record that
cannot be understood reads as absent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateError
from vllm_pkg.state import atomic, documents, locks
from vllm_pkg.state.identity import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.settings import Settings

_SIZES: Final = ("bytes_done", "bytes_total")
_MEASURES: Final = (
    *("phase_percent", "percent", "eta_s", "bytes_per_s"),
    *("updated_s", "ready_after_s"),
)


@dataclass(frozen=True)
class StartRecord:
    """
    The engine's present or last start: state, so that any reader can come and go.

    The daemon writes it, and after the exec the recorder; see `update_start`.

    Args:
        process: The daemon's process, which the engine takes over.
        started_s: Seconds since boot at which the daemon started.
        host: Address the API listens on.
        port: TCP port the API listens on.
        model: What is served, for people.
        is_stop_intended: Whether the host is ending this start on purpose.
        is_kept_stopped: Whether no other one follows until a person wants it.
        started_at: The same start as UTC time, ISO 8601, for people.
        key: What the lengths of earlier starts are kept under; empty: they are not.
        log_file: The log of this start; None: there is none.
        recorder: The process that records it; None: it is not started yet.
        phase: What goes on now, a value of `vllm_pkg.engine.phases.Phase`.
        phase_percent: How much of the phase is done, 0 to 100; None: not known.
        percent: How much of the whole start is done, 0 to 100; None: not known.
        eta_s: Seconds that are left, counted from ``updated_s``; None: not known. In
            the download they are those of the download, as long as nothing is known of
            what follows it.
        repository: What is being downloaded.
        bytes_done: Bytes of the download that are there.
        bytes_total: Bytes of the whole download.
        bytes_per_s: Its speed.
        is_stalled: Whether no byte has come for a while.
        phases: Phases that are over, with their seconds, in order.
        updated_s: When the progress was last written, in seconds since boot.
        ready_after_s: Seconds from the start of the daemon to readiness.
        selection: Fingerprint of what is served; None: not known.
        memory_kills: How many programs the kernel had ended for want of memory when
            it began; None: not known.
    """

    process: ProcessIdentity
    started_s: float
    host: str
    port: int
    model: str
    is_stop_intended: bool = False
    is_kept_stopped: bool = False
    started_at: str = ""
    key: str = ""
    log_file: str | None = None
    recorder: ProcessIdentity | None = None
    phase: str = "starting"
    phase_percent: float | None = None
    percent: float | None = None
    eta_s: float | None = None
    repository: str | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None
    bytes_per_s: float | None = None
    is_stalled: bool = False
    phases: tuple[tuple[str, float], ...] = ()
    updated_s: float | None = None
    ready_after_s: float | None = None
    selection: str | None = None
    memory_kills: int | None = None


@dataclass(frozen=True)
class SettingChange:
    """
    One change of an option or an environment variable of the engine.

    Args:
        name: Such as ``--max-model-len``, or the name of a variable.
        value: What it is set to; None for an option without a value.
        is_removed: Whether it is taken away instead.
    """

    name: str
    value: str | None = None
    is_removed: bool = False

    @property
    def is_option(self) -> bool:
        """Whether it is an option rather than a variable."""
        return self.name.startswith("-")


@dataclass(frozen=True)
class FailureRecord:
    """
    The engine's last failure.

    Args:
        at: UTC time, ISO 8601, for people.
        at_s: The same instant in seconds since boot, to compare it with a start.
        boot_id: The kernel's id of that boot.
        summary: What happened, one sentence.
        hint: What to do about it.
        exit_code: Exit status, negative for a signal; None when not known.
        is_final: Whether the host has stopped trying.
        starts: How many starts in a row have failed.
        log_tail: The last lines of the engine's log.
        cause: Id of the named cause, None when there is none.
        explanation: What the cause means, in whole sentences.
        evidence: The line of the log that told it.
        changes: The settings that would help, all together.
        selection: Fingerprint of the selection that failed; the changes are for it.
        fix: What to do about it, without what the host does next.
        pid: The daemon that wrote it, of a start that it gave up itself; None where the
            host tells how an engine has ended.
    """

    at: str
    at_s: float
    boot_id: str
    summary: str
    hint: str
    exit_code: int | None
    is_final: bool
    starts: int
    log_tail: tuple[str, ...] = ()
    cause: str | None = None
    explanation: str | None = None
    evidence: str | None = None
    changes: tuple[SettingChange, ...] = ()
    selection: str | None = None
    fix: str = ""
    pid: int | None = None

    @property
    def is_of_state(self) -> bool:
        """Whether a state file was damaged, or could not be read or written."""
        return self.exit_code == StateError.exit_code


@dataclass(frozen=True)
class HostRecord:
    """
    The standalone host that is running.

    Args:
        process: The process of ``vllm-pkg run``.
        host: Address the API listens on.
        port: TCP port the API listens on.
        control_socket: Unix socket of the process supervisor.
        is_stopping: Whether it has been told to end, and ends everything.
    """

    process: ProcessIdentity
    host: str
    port: int
    control_socket: str
    is_stopping: bool = False


def read_start(settings: Settings) -> StartRecord | None:
    """Return the record of the engine's start, or None."""
    document = _read(settings.start_file)
    try:
        return StartRecord(
            process=_identity(document["process"]),
            started_s=float(document["started_s"]),
            host=str(document["host"]),
            port=int(document["port"]),
            model=str(document["model"]),
            is_stop_intended=document["is_stop_intended"] is True,
            **_start_progress(document),
        )
    except (KeyError, TypeError, ValueError):
        return None


def update_start(
    settings: Settings,
    process: ProcessIdentity,
    change: Callable[[StartRecord], StartRecord],
    *,
    timeout_s: float = locks.LOCK_TIMEOUT_S,
) -> StartRecord | None:
    """
    Change the record of a start, together with all others that do.

    It is not made durable: after a loss of power there is no such process any more.

    Args:
        settings: Where the record is.
        process: Whose start it must be; a record of another one is left alone.
        change: Gets the record as it is and returns what it is to be.
        timeout_s: How long to wait for another one who changes it.
    Returns:
        The record as it is now, or None when there is none of that process.
    Raises:
        StateLocked: somebody else held it for all that time.
        StateWriteFailed: it cannot be written.
    """
    with locks.locked(settings.start_lock_file, timeout_s):
        start = read_start(settings)
        if start is None or start.process != process:
            return None
        changed = change(start)
        if changed != start:
            data = documents.format_object(asdict(changed))
            atomic.write_file(settings.start_file, data, is_durable=False)
        return changed


def read_failure(settings: Settings) -> FailureRecord | None:
    """Return the record of the last failure, or None."""
    document = _read(settings.failure_file)
    try:
        exit_code = document["exit_code"]
        return FailureRecord(
            at=str(document["at"]),
            at_s=float(document["at_s"]),
            boot_id=str(document["boot_id"]),
            summary=str(document["summary"]),
            hint=str(document["hint"]),
            exit_code=None if exit_code is None else int(exit_code),
            is_final=document["is_final"] is True,
            starts=int(document["starts"]),
            log_tail=tuple(str(line) for line in document["log_tail"]),
            cause=_text(document.get("cause")),
            explanation=_text(document.get("explanation")),
            evidence=_text(document.get("evidence")),
            changes=tuple(_change(item) for item in document.get("changes", ())),
            selection=_text(document.get("selection")),
            fix=str(document.get("fix", "")),
            pid=_optional(int, document.get("pid")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def read_host(settings: Settings) -> HostRecord | None:
    """Return the record of the standalone host, or None."""
    document = _read(settings.host_file)
    try:
        return HostRecord(
            process=_identity(document["process"]),
            host=str(document["host"]),
            port=int(document["port"]),
            control_socket=str(document["control_socket"]),
            is_stopping=document.get("is_stopping") is True,
        )
    except (KeyError, TypeError, ValueError):
        return None


def forget_state_failure(settings: Settings) -> None:
    """
    Remove the record of the last failure if a state file was its cause.

    Raises:
        StateWriteFailed: it cannot be removed.
    """
    failure = read_failure(settings)
    if failure is not None and failure.is_of_state:
        atomic.remove_file(settings.failure_file)


def write_record(path: Path, record: StartRecord | FailureRecord | HostRecord) -> None:
    """
    Write a record, making its folder when missing.

    Raises:
        StateWriteFailed: it cannot be written.
    """
    atomic.make_folder(path.parent)
    atomic.write_file(path, documents.format_object(asdict(record)))


def _read(path: Path) -> dict[str, Any]:
    try:
        # Left where it is: it is a hint, and the next one takes its place.
        return documents.observe_object(path) or {}
    except StateError:
        return {}


def _start_progress(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a start has reached; records of older versions know nothing of it."""
    recorder = document.get("recorder")
    return {
        "is_kept_stopped": document.get("is_kept_stopped") is True,
        "started_at": str(document.get("started_at", "")),
        "key": str(document.get("key", "")),
        "log_file": _optional(str, document.get("log_file")),
        "recorder": None if recorder is None else _identity(recorder),
        "phase": str(document.get("phase", "starting")),
        "repository": _optional(str, document.get("repository")),
        "is_stalled": document.get("is_stalled") is True,
        "selection": _optional(str, document.get("selection")),
        "memory_kills": _optional(int, document.get("memory_kills")),
        "phases": tuple(
            (str(name), float(seconds)) for name, seconds in document.get("phases", ())
        ),
        **{name: _optional(int, document.get(name)) for name in _SIZES},
        **{name: _optional(float, document.get(name)) for name in _MEASURES},
    }


def _optional(kind: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else kind(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _change(value: Any) -> SettingChange:
    return SettingChange(
        name=str(value["name"]),
        value=_text(value["value"]),
        is_removed=value["is_removed"] is True,
    )


def _identity(value: Any) -> ProcessIdentity:
    return ProcessIdentity(
        pid=int(value["pid"]),
        started_ticks=int(value["started_ticks"]),
        boot_id=str(value["boot_id"]),
    )

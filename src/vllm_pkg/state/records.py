"""
Records of running processes: what one process writes down for others to read.

They live in the run folder, can be rebuilt, and are never backed up. A record that
cannot be understood reads as absent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vllm_pkg.errors import StateError
from vllm_pkg.state import atomic, documents
from vllm_pkg.state.identity import ProcessIdentity

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.settings import Settings


@dataclass(frozen=True)
class StartRecord:
    """
    The engine's present or last start, written by the daemon before it execs.

    Args:
        process: The daemon's process, which the engine takes over.
        started_s: Seconds since boot at which the daemon started.
        host: Address the API listens on.
        port: TCP port the API listens on.
        model: What is served, for people.
        is_stop_intended: Whether the host is ending this start on purpose.
    """

    process: ProcessIdentity
    started_s: float
    host: str
    port: int
    model: str
    is_stop_intended: bool = False


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


@dataclass(frozen=True)
class HostRecord:
    """
    The standalone host that is running.

    Args:
        process: The process of ``vllm-pkg run``.
        host: Address the API listens on.
        port: TCP port the API listens on.
        control_socket: Unix socket of the process supervisor.
    """

    process: ProcessIdentity
    host: str
    port: int
    control_socket: str


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
        )
    except (KeyError, TypeError, ValueError):
        return None


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
        )
    except (KeyError, TypeError, ValueError):
        return None


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
        return documents.read_object(path) or {}
    except StateError:
        return {}


def _identity(value: Any) -> ProcessIdentity:
    return ProcessIdentity(
        pid=int(value["pid"]),
        started_ticks=int(value["started_ticks"]),
        boot_id=str(value["boot_id"]),
    )

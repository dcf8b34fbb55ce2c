"""Which logs there are, and the files that each one consists of."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import NotFound, StateUnreadable
from vllm_pkg.hosts.standalone.config import ENGINE_LOG, FETCHER_LOG, HOST_LOG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_pkg.settings import Settings

BLOCK_BYTES: Final = 256 * 1024
PORTAL_LOG: Final = "portal.log"
SUPERVISOR_LOG: Final = "supervisord.log"
_FILES: Final = {
    "engine": ENGINE_LOG,
    "host": HOST_LOG,
    "fetcher": FETCHER_LOG,
    "portal": PORTAL_LOG,
    "supervisor": SUPERVISOR_LOG,
}
_START: Final = re.compile(r"engine-(\d{8}T\d{6}Z)\.log")
_START_ID: Final = re.compile(r"start-(\d{8}T\d{6}Z)")
_STAMP: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Log:
    """
    One log.

    Args:
        id: ``engine``, ``host``, ``fetcher``, ``portal``, ``supervisor``, or ``start-``
            with the time of a start.
        path: Its newest file.
        size_bytes: All its files together.
        changed_at: When something was last written.
        started_at: For the log of one start: when that was.
    """

    id: str
    path: Path
    size_bytes: int
    changed_at: datetime
    started_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        start = self.started_at
        return {
            "id": self.id,
            "file": self.path.name,
            "sizeBytes": self.size_bytes,
            "changedAt": self.changed_at.isoformat(),
            "startedAt": None if start is None else start.isoformat(),
        }


@dataclass(frozen=True)
class Part:
    """
    One file of a log.

    Args:
        path: The file.
        inode: Its number, which a renamed file keeps.
        size_bytes: How long it was when it was looked at.
    """

    path: Path
    inode: int
    size_bytes: int


def list_logs(settings: Settings) -> tuple[Log, ...]:
    """Return the logs that there are: the engine's, the others, then one per start."""
    folder = settings.logs_dir
    found = [_log(log_id, folder / name) for log_id, name in _FILES.items()]
    starts = sorted(folder.glob("engine-*.log"), reverse=True)
    for path in starts:
        stamp = _START.fullmatch(path.name)
        started_at = _time(stamp[1]) if stamp else None
        if stamp and started_at:
            found.append(_log(f"start-{stamp[1]}", path, started_at))
    return tuple(log for log in found if log is not None)


def log_path(settings: Settings, log_id: str) -> Path:
    """
    Return the newest file of a log, whether it exists or not.

    Raises:
        NotFound: there is no log of that name.
    """
    if log_id in _FILES:
        return settings.logs_dir / _FILES[log_id]
    start = _START_ID.fullmatch(log_id) if log_id.isascii() else None
    if start is not None:
        path = settings.logs_dir / f"engine-{start[1]}.log"
        if path.is_file():
            return path
    raise NotFound(f"there is no log {log_id[:80]!r}", hint="list the logs")


def read_text(settings: Settings, log_id: str) -> Iterator[bytes]:
    """
    Yield a whole log as it is in its files, the oldest first.

    Raises:
        NotFound: there is no log of that name.
        StateUnreadable: a file cannot be read.
    """
    parts = parts_of(log_path(settings, log_id))
    return (block for part in reversed(parts) for block in _blocks(part))


def parts_of(path: Path) -> tuple[Part, ...]:
    """
    Return the files of a log, the newest first; rotated ones end in a number.

    Raises:
        StateUnreadable: one of them cannot be looked at.
    """
    found: list[Part] = []
    candidate, number = path, 0
    while True:
        try:
            status = candidate.stat()
        except FileNotFoundError:
            # Between two renames the newest one is missing for a moment.
            if number:
                return tuple(found)
        except OSError as error:
            raise _unreadable(candidate, error) from error
        else:
            found.append(Part(candidate, status.st_ino, status.st_size))
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")


def read_part(part: Part, offset: int, size_bytes: int) -> bytes:
    """
    Return bytes of a file; none when another file has its name by now.

    Raises:
        StateUnreadable: it cannot be read.
    """
    try:
        with part.path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_ino != part.inode:
                return b""
            stream.seek(offset)
            return stream.read(size_bytes)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unreadable(part.path, error) from error


def _blocks(part: Part) -> Iterator[bytes]:
    # As far as it went when it was listed: a log that grows fast would never end.
    for offset in range(0, part.size_bytes, BLOCK_BYTES):
        yield read_part(part, offset, min(BLOCK_BYTES, part.size_bytes - offset))


def _log(log_id: str, path: Path, started_at: datetime | None = None) -> Log | None:
    with contextlib.suppress(OSError):
        changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        size_bytes = sum(part.size_bytes for part in parts_of(path))
        return Log(
            log_id, path, size_bytes, changed_at.replace(microsecond=0), started_at
        )
    return None


def _time(stamp: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    return None


def _unreadable(path: Path, error: OSError) -> StateUnreadable:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StateUnreadable(f"cannot read {path}: {reason}")

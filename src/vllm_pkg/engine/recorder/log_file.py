"""
The log of one start: its beginning and its end are kept, whatever its length.

A start is understood from its first lines and a failure from the last ones. What lies
between is dropped when the file has grown to its limit.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import StateError
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME_PREFIX: Final = "engine-"
NAME_SUFFIX: Final = ".log"
LOGS_KEPT: Final = 10
SIZE_MAX_BYTES: Final = 16 * 1024 * 1024
HEAD_BYTES: Final = 4 * 1024 * 1024
TAIL_BYTES: Final = 2 * 1024 * 1024
RETRY_S: Final = 1.0
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def begin_log(logs_dir: Path, lines: Sequence[str], now: datetime) -> Path | None:
    """
    Make the log of a start, and drop the oldest ones.

    Args:
        logs_dir: Made when missing.
        lines: What the start has written before it is recorded.
        now: Gives the name, with the zone.
    Returns:
        The file, or None where none can be made.
    """
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = logs_dir / f"{NAME_PREFIX}{stamp}{NAME_SUFFIX}"
    try:
        atomic.make_folder(logs_dir)
        descriptor = os.open(path, _FLAGS, 0o600)
    except (OSError, StateError):
        return None
    with contextlib.suppress(OSError):
        os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
    os.close(descriptor)
    drop_old(logs_dir)
    return path


def drop_old(logs_dir: Path, kept: int = LOGS_KEPT) -> None:
    """Remove the oldest logs of starts; what cannot be removed stays."""
    logs = sorted(logs_dir.glob(f"{NAME_PREFIX}*{NAME_SUFFIX}"))
    for log in logs[:-kept]:
        with contextlib.suppress(OSError):
            log.unlink()


class StartLog:
    """
    Appends to the log of a start and never fails: a gap is told where it was.

    Args:
        path: The file; None: nothing is kept.
        size_max_bytes: Its size at most.
        head_bytes: How much of its beginning is always kept.
        tail_bytes: How much of its end is kept when it is cut.
    """

    def __init__(
        self,
        path: Path | None,
        size_max_bytes: int = SIZE_MAX_BYTES,
        head_bytes: int = HEAD_BYTES,
        tail_bytes: int = TAIL_BYTES,
    ) -> None:
        self._path = path
        self._size_max_bytes = size_max_bytes
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._descriptor: int | None = None
        self._size_bytes = 0
        self._missing_bytes = 0
        self._retry_at_s = float("-inf")

    def write(self, chunk: bytes, now_s: float) -> None:
        """
        Append a chunk.

        Args:
            chunk: What came.
            now_s: Seconds since boot; after a failure it is tried again a second later.
        """
        if self._path is None:
            return
        if now_s < self._retry_at_s:
            self._missing_bytes += len(chunk)
            return
        try:
            self._append(self._path, chunk)
        except OSError:
            self._retry_at_s = now_s + RETRY_S

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, path: Path, chunk: bytes) -> None:
        view = memoryview(chunk)
        try:
            if self._descriptor is None:
                self._descriptor = os.open(path, _FLAGS, 0o600)
                self._size_bytes = os.fstat(self._descriptor).st_size
            if self._missing_bytes:
                note = _note(self._missing_bytes, "are missing: they were not written")
                self._size_bytes += os.write(self._descriptor, note)
                self._missing_bytes = 0
            while view:
                written = os.write(self._descriptor, view)
                self._size_bytes += written
                view = view[written:]
        finally:
            self._missing_bytes += len(view)
        if self._size_bytes > self._size_max_bytes:
            self._cut(self._descriptor)

    def _cut(self, descriptor: int) -> None:
        """Take out what lies between the beginning and the end."""
        start = self._size_bytes - self._tail_bytes
        tail = os.pread(descriptor, self._tail_bytes, start)
        # Not within a line, where there are lines.
        tail = tail[tail.find(b"\n") + 1 :]
        left_out = self._size_bytes - self._head_bytes - len(tail)
        os.ftruncate(descriptor, self._head_bytes)
        self._size_bytes = self._head_bytes
        for part in (_note(left_out, "were left out"), tail):
            self._size_bytes += os.write(descriptor, part)


def _note(size_bytes: int, what: str) -> bytes:
    return f"\n[vllm-pkg: {size_bytes} bytes {what}]\n".encode()

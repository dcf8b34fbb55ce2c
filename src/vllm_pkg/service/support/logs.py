"""The logs of a support bundle: their beginnings and ends, never half a line."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.recorder.log_file import NAME_PREFIX, NAME_SUFFIX
from vllm_pkg.hosts.standalone.evidence import FOLDER_PREFIX
from vllm_pkg.state import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_pkg.settings import Settings

HEAD_BYTES: Final = 1024 * 1024
TAIL_BYTES: Final = 2 * 1024 * 1024
OTHER_TAIL_BYTES: Final = 512 * 1024
OTHERS_MAX: Final = 30
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")


def find_logs(settings: Settings) -> Iterator[tuple[str, Path, int]]:
    """
    Yield the logs that belong into a bundle: name there, file, and bytes of its head.

    Those are the last start's, the one of the last failure, all logs of programs other
    than the engine, and what was found at the last time that the engine was stuck.
    """
    starts = sorted(settings.logs_dir.glob(f"{NAME_PREFIX}*{NAME_SUFFIX}"))
    if starts:
        yield "logs/last-start.log", starts[-1], HEAD_BYTES
    failed = _failed_start(settings, starts)
    if failed is not None and failed != starts[-1]:
        yield "logs/last-failed-start.log", failed, HEAD_BYTES
    others = sorted(set(settings.logs_dir.glob("*.log")) - set(starts))
    for file in others[:OTHERS_MAX]:
        if _NAME.fullmatch(file.name):
            yield f"logs/{file.name}", file, 0
    for folder in sorted(settings.logs_dir.glob(f"{FOLDER_PREFIX}*"))[-1:]:
        for file in sorted(folder.iterdir())[:OTHERS_MAX]:
            if _NAME.fullmatch(file.name):
                yield f"logs/stuck/{file.name}", file, 0


def read_ends(file: Path, head_bytes: int) -> str:
    """
    Return the beginning and the end of a file, whole lines only.

    A secret that is cut in two could not be recognised.

    Args:
        file: The file.
        head_bytes: How much of its beginning; 0: only its end.
    Raises:
        OSError: it cannot be read.
    """
    tail_bytes = TAIL_BYTES if head_bytes else OTHER_TAIL_BYTES
    with file.open("rb") as stream:
        size_bytes = os.fstat(stream.fileno()).st_size
        if size_bytes <= head_bytes + tail_bytes:
            return stream.read(size_bytes).decode("utf-8", errors="replace")
        head = stream.read(head_bytes)
        stream.seek(-tail_bytes, os.SEEK_END)
        tail = stream.read(tail_bytes)
    head = head[: head.rfind(b"\n") + 1]
    tail = tail[tail.find(b"\n") + 1 :] if b"\n" in tail else b""
    left_out = size_bytes - len(head) - len(tail)
    note = f"\n[vllm-pkg: {left_out} bytes are left out]\n"
    return f"{head.decode(errors='replace')}{note}{tail.decode(errors='replace')}"


def _failed_start(settings: Settings, starts: list[Path]) -> Path | None:
    """Return the log of the start that failed last: the last one before the failure."""
    failure = records.read_failure(settings)
    if failure is None:
        return None
    try:
        failed_at = datetime.fromisoformat(failure.at).astimezone(UTC)
    except ValueError:
        return None
    last = f"{NAME_PREFIX}{failed_at.strftime(_STAMP)}{NAME_SUFFIX}"
    return next((log for log in reversed(starts) if log.name <= last), None)

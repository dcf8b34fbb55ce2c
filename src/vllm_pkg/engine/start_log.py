"""Reading the log of the engine's last start as a whole, however long it is."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.diagnosis.lines import LINE_CHARACTERS_MAX
from vllm_pkg.engine.exit_report import START_MARK
from vllm_pkg.errors import StateUnreadable

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CHUNK_SIZE_BYTES: Final = 1024 * 1024
# A character takes four bytes at most; what is longer is cut here already.
_LINE_SIZE_MAX_BYTES: Final = 4 * LINE_CHARACTERS_MAX
_MARK: Final = START_MARK.encode()


def read_last_start(path: Path) -> Generator[str]:
    """
    Yield the lines that the engine's last start wrote, as far as they are kept.

    The memory it takes does not grow with the log. Long lines are cut. A carriage
    return ends a line too, as progress bars use it. Empty lines are left out.

    Args:
        path: The log file; older parts of it end in ``.1``, ``.2`` and so on.
    Raises:
        StateUnreadable: it exists and cannot be read.
    """
    parts: list[tuple[Path, int]] = []
    for part in _parts(path):
        position = _last_mark(part)
        parts.append((part, max(position, 0)))
        if position >= 0:
            break
    rest = b""
    for part, position in reversed(parts):
        rest = yield from _lines(part, position, rest)
    if rest.strip():
        yield _text(rest)


def _parts(path: Path) -> Generator[Path]:
    """Yield the files of the log, the newest first."""
    part, number = path, 0
    while part.exists():
        yield part
        number += 1
        part = path.with_name(f"{path.name}.{number}")


def _last_mark(path: Path) -> int:
    """Return where the last start begins in a file, or -1."""
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                return -1
            with mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as content:
                position = len(content)
                while (position := content.rfind(_MARK, 0, position)) > 0:
                    if content[position - 1 : position] == b"\n":
                        break
                return position
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise _unreadable(path, error) from error


def _lines(path: Path, position: int, rest: bytes) -> Generator[str, None, bytes]:
    """Yield the lines of a file from a position on; return the open one at its end."""
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            while chunk := stream.read(CHUNK_SIZE_BYTES):
                *whole, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
                for line in whole:
                    if line.strip():
                        yield _text(line)
                rest = rest[:_LINE_SIZE_MAX_BYTES]
    except FileNotFoundError:
        # Rotated away meanwhile: what is left still tells something.
        return rest
    except OSError as error:
        raise _unreadable(path, error) from error
    return rest


def _text(line: bytes) -> str:
    return line[:_LINE_SIZE_MAX_BYTES].decode("utf-8", errors="replace")


def _unreadable(path: Path, error: OSError) -> StateUnreadable:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StateUnreadable(f"cannot read {path}: {reason}")

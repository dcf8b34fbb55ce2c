"""Reading log files that another process writes and rotates."""

from __future__ import annotations

import codecs
import os
import time
from typing import TYPE_CHECKING, BinaryIO, Final

from vllm_pkg.errors import StateUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

TAIL_SIZE_BYTES: Final = 2 * 1024 * 1024
POLL_S: Final = 0.2


def last_lines(path: Path, size_bytes: int = TAIL_SIZE_BYTES) -> list[str]:
    """
    Return the lines in the last bytes of a file.

    Args:
        path: The file; a missing one has no lines.
        size_bytes: How much of its end to read, > 0. A line cut at the start is left
            out. A carriage return ends a line too, as progress bars use it.
    Raises:
        StateUnreadable: it exists and cannot be read.
    """
    stream = open_log(path)
    if stream is None:
        return []
    with stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, length - size_bytes))
        text = stream.read().decode("utf-8", errors="replace")
    lines = _split(text)
    if length > size_bytes:
        lines = lines[1:]
    return [line for line in lines if line.strip()]


def follow(path: Path, sleep: Callable[[float], None] = time.sleep) -> Generator[str]:
    """
    Yield what is added to a file from now on, for ever.

    A file that is rotated away is read to its end, then the new one from its start.

    Raises:
        StateUnreadable: it exists and cannot be read.
    """
    # A character may be written in two parts: the rest of it comes with the next read.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    stream = open_log(path)
    if stream is not None:
        stream.seek(0, os.SEEK_END)
    try:
        while True:
            text = decoder.decode(stream.read() if stream is not None else b"")
            if text:
                yield text
            elif stream is not None and _was_replaced(path, stream.fileno()):
                stream.close()
                stream = None
            elif stream is None:
                stream = open_log(path)
                if stream is None:
                    sleep(POLL_S)
            else:
                sleep(POLL_S)
    finally:
        if stream is not None:
            stream.close()


def whole_lines(texts: Iterable[str]) -> Generator[str]:
    """
    Yield the lines of text that comes in pieces, each once it has ended.

    Args:
        texts: The pieces, as `follow` yields them. Empty lines are left out.
    """
    rest = ""
    for text in texts:
        *lines, rest = _split(rest + text)
        yield from (line for line in lines if line.strip())


def _split(text: str) -> list[str]:
    return text.replace("\r", "\n").split("\n")


def open_log(path: Path) -> BinaryIO | None:
    """
    Open a log file for reading; None: there is none.

    Raises:
        StateUnreadable: it exists and cannot be read.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StateUnreadable(f"cannot read {path}: {reason}") from error


def _was_replaced(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino != os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return True

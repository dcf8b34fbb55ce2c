"""
Reading files without leaving a trace in their access times.

A model's access time tells when somebody loaded it. Looking at the cache, checking and
estimating read the same files and are no use of them.
Source: open(2) on O_NOATIME, which only a file's owner and root may ask for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

_READ: Final = os.O_RDONLY | os.O_CLOEXEC


def open_quietly(path: Path | str, flags: int, dir_fd: int | None = None) -> int:
    """
    Open a file for reading; its access time stays where that is permitted.

    Args:
        path: The file.
        flags: As of ``os.open``.
        dir_fd: The open folder from which the path counts.
    Raises:
        OSError: it cannot be opened.
    """
    try:
        return os.open(path, flags | os.O_NOATIME, dir_fd=dir_fd)
    except PermissionError:
        return os.open(path, flags, dir_fd=dir_fd)


def quiet_stream(path: Path) -> BinaryIO:
    """
    Open a file for reading as a stream, quietly.

    Raises:
        OSError: it cannot be opened.
    """
    return os.fdopen(open_quietly(path, _READ), "rb")


def read_quietly(path: Path) -> bytes:
    """
    Return a file's content, read quietly.

    Raises:
        OSError: it cannot be read.
    """
    with quiet_stream(path) as stream:
        return stream.read()


def is_quiet(status: os.stat_result) -> bool:
    """Whether a file is one that we read without changing its access time."""
    return os.geteuid() in {0, status.st_uid}

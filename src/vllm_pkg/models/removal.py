"""
Removing folders, with the bytes that it really frees.

Every step goes through the open parent folder and follows no symbolic link, so that a
link inside a cache can never lead outside. Source: openat(2), unlinkat(2).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_BYTES: Final = 512
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class Tally:
    """
    What a removal did so far.

    Args:
        freed_bytes: Bytes given back; a file that another name still holds gives none.
        files: How many files and links were removed.
        failures: One sentence per thing that could not be removed.
    """

    freed_bytes: int = 0
    files: int = 0
    failures: list[str] = field(default_factory=list)


def size_on_disk(status: os.stat_result) -> int:
    """
    Return the bytes of a file's content that occupy disk.

    A file that is downloaded in parts may be sparse: it is longer than what it holds.
    """
    return min(status.st_size, status.st_blocks * BLOCK_BYTES)


def remove_folder(folder: Path, tally: Tally) -> None:
    """
    Remove a folder with all it holds; what cannot be removed is noted and left.

    Args:
        folder: Nothing happens when it does not exist.
        tally: Is added to.
    """
    try:
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _remove_entry(parent, folder.name, tally)
    finally:
        os.close(parent)


def _remove_entry(parent: int, name: str, tally: Tally) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            _remove_inside(parent, name, tally)
            os.rmdir(name, dir_fd=parent)
            return
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except OSError as error:
        tally.failures.append(f"{name}: {os.strerror(error.errno or 0)}")
        return
    tally.files += 1
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        tally.freed_bytes += size_on_disk(status)


def _remove_inside(parent: int, name: str, tally: Tally) -> None:
    folder = os.open(name, _OPEN_FOLDER, dir_fd=parent)
    try:
        # pathlib cannot list an open folder.
        for entry in os.listdir(folder):  # noqa: PTH208
            _remove_entry(folder, entry, tally)
    finally:
        os.close(folder)

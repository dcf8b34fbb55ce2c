"""
Removing what stands in an open folder, with the bytes that it really frees.

Every step goes through the open parent folder and follows no symbolic link, so that a
link inside a cache can never lead outside.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vllm_pkg.models.open_folder import OpenFolder

BLOCK_BYTES: Final = 512


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

    def add_failure(self, name: str, error: OSError) -> None:
        """Note what could not be removed, and why."""
        self.failures.append(f"{name}: {os.strerror(error.errno or 0)}")

    def add_file(self, status: os.stat_result) -> None:
        """Note a file or link that was removed, by what it was just before."""
        self.files += 1
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            self.freed_bytes += size_on_disk(status)


def size_on_disk(status: os.stat_result) -> int:
    """
    Return the bytes of a file's content that occupy disk.

    A file that is downloaded in parts may be sparse: it is longer than what it holds.
    """
    return min(status.st_size, status.st_blocks * BLOCK_BYTES)


def remove_entry(parent: OpenFolder, name: str, tally: Tally) -> None:
    """
    Remove a file, a link, or a folder with all it holds.

    What cannot be removed is noted and left; what is not there is no failure.

    Args:
        parent: The open folder in which it stands.
        name: Its name there.
        tally: Is added to.
    """
    try:
        status = parent.status(name)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            _remove_inside(parent, name, tally)
            parent.remove_folder(name)
            return
        parent.unlink(name)
    except FileNotFoundError:
        return
    except OSError as error:
        tally.add_failure(name, error)
        return
    tally.add_file(status)


def _remove_inside(parent: OpenFolder, name: str, tally: Tally) -> None:
    with parent.inside(name) as folder:
        for entry in folder.names():
            remove_entry(folder, entry, tally)

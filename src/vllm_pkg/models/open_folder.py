"""
Folders held open: what stands in them is reached through them, and no link is followed.

A path that is walked twice may lead elsewhere the second time, when somebody puts a
link in the place of a folder. An open folder stays the one that it was.
Source: openat(2), unlinkat(2); proc(5) on ``/proc/self/fd``.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from vllm_pkg.models.quiet_open import open_quietly
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class OpenFolder:
    """
    A folder that is held open.

    Args:
        descriptor: The open folder; whoever opened it closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def names(self) -> list[str]:
        """Return the names in it, sorted."""
        return sorted(os.listdir(self.descriptor))  # noqa: PTH208  # by descriptor

    def status(self, name: str) -> os.stat_result | None:
        """Return what stands under a name, not what it leads to; None: nothing."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def link(self, name: str) -> str:
        """Return where a symbolic link leads, as it is written."""
        return os.readlink(name, dir_fd=self.descriptor)

    def read(self, name: str, size_max_bytes: int) -> bytes:
        """Return the beginning of a file."""
        with self.stream(name) as stream:
            return stream.read(size_max_bytes)

    def stream(self, name: str) -> BinaryIO:
        """Open a file for reading; that does not count as a use of it."""
        descriptor = open_quietly(name, _FILE, dir_fd=self.descriptor)
        return os.fdopen(descriptor, "rb")

    @contextlib.contextmanager
    def inside(self, *names: str) -> Iterator[OpenFolder]:
        """
        Open a folder below it, name by name.

        Raises:
            FileNotFoundError: there is none.
            NotADirectoryError: a file or a symbolic link stands in its place.
            OSError: it cannot be opened.
        """
        descriptor = os.dup(self.descriptor)
        try:
            for name in names:
                deeper = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = deeper
            yield OpenFolder(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, name: str) -> None:
        """Make a folder that only its owner may use."""
        os.mkdir(name, 0o700, dir_fd=self.descriptor)

    def unlink(self, name: str) -> None:
        """Remove a file or a link."""
        os.unlink(name, dir_fd=self.descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(name, dir_fd=self.descriptor)

    def move(self, name: str, target: OpenFolder, new_name: str) -> None:
        """
        Move something into another open folder, durably.

        Raises:
            StateWriteFailed: it cannot be moved; nothing was changed.
        """
        atomic.move_file(self._path / name, target._path / new_name)

    @property
    def _path(self) -> Path:
        """A path that leads to this very folder, for functions that take paths only."""
        return Path(f"/proc/self/fd/{self.descriptor}")


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[OpenFolder]:
    """
    Open a folder by its path, which may itself be a link.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, _FOLDER)
    try:
        yield OpenFolder(descriptor)
    finally:
        os.close(descriptor)

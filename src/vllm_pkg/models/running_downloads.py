"""
Whether somebody downloads a repository at this moment.

A download holds the lock of each file that it fetches, as huggingface_hub does, or at
least its partial file grows. Where locks do nothing, as on some network file systems,
only growing tells.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.repository_content import BLOBS, INCOMPLETE, LOCKS

if TYPE_CHECKING:
    from vllm_pkg.models.open_folder import OpenFolder

WATCH_S: Final = 1.0
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_downloading(cache: OpenFolder, repository: str) -> bool:
    """
    Whether a repository is being downloaded.

    Takes a second when there are partial files that nobody has locked.

    Args:
        cache: The cache.
        repository: The name of its folder.
    Raises:
        OSError: its files cannot be read.
    """
    if _has_lock(cache, (LOCKS, repository), ".lock"):
        return True
    if _has_lock(cache, (repository, BLOBS), INCOMPLETE):
        return True
    before = _sizes(cache, repository)
    if not before:
        return False
    time.sleep(WATCH_S)
    return _sizes(cache, repository) != before


def _has_lock(cache: OpenFolder, folders: tuple[str, ...], suffix: str) -> bool:
    try:
        with cache.inside(*folders) as folder:
            names = [name for name in folder.names() if name.endswith(suffix)]
            return any(_is_locked(folder, name) for name in names)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_locked(folder: OpenFolder, name: str) -> bool:
    try:
        descriptor = os.open(name, _OPEN, dir_fd=folder.descriptor)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sizes(cache: OpenFolder, repository: str) -> dict[str, tuple[int, int, int]]:
    """Return what changes in partial files while they are written."""
    found = {}
    try:
        with cache.inside(repository, BLOBS) as blobs:
            for name in blobs.names():
                status = blobs.status(name) if name.endswith(INCOMPLETE) else None
                if status is not None:
                    sizes = (status.st_size, status.st_blocks, status.st_mtime_ns)
                    found[name] = sizes
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return found

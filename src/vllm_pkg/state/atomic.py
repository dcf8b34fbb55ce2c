"""
Durable, atomic files under one lock.

The only module that calls ``os.replace`` and ``os.fsync``.
Source: rename(2), fsync(2); reference tests of the power-loss model.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import StateLocked, StateWriteFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPORARY_SUFFIX: Final = ".tmp"
LOCK_TIMEOUT_S: Final = 10.0
_LOCK_POLL_S: Final = 0.01


def make_folder(path: Path, mode: int = 0o700) -> None:
    """
    Make a folder and its parents, and set the folder's own mode when it is new.

    Raises:
        StateWriteFailed: the folder cannot be made.
    """
    if path.is_dir():
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
    except OSError as error:
        raise _write_failed(path, error) from error


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """
    Replace a file by new content: the old or the new one exists, never a mixture.

    When it returns, the new content survives a loss of power. A failure leaves the old
    file whole and no temporary file behind.

    Args:
        path: The file; its folder exists.
        data: The whole new content.
        mode: Permission bits of the file, whatever the umask is.
    Raises:
        StateWriteFailed: the disk is full, read-only or broken, or access is denied.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        _write_new(temporary, data, mode)
        os.replace(temporary, path)  # noqa: PTH105  # the call the tests trace
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _write_failed(path, error) from error


def move_file(source: Path, target: Path) -> None:
    """
    Rename a file or folder within one file system, durably.

    Raises:
        StateWriteFailed: it cannot be renamed.
    """
    try:
        os.replace(source, target)  # noqa: PTH105
        sync_folder(target.parent)
    except OSError as error:
        raise _write_failed(source, error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_file(path: Path) -> bool:
    """
    Remove a file durably.

    Returns:
        Whether there was one.
    Raises:
        StateWriteFailed: it exists and cannot be removed.
    """
    try:
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _write_failed(path, error) from error
    return True


def sweep_temporary_files(folder: Path) -> int:
    """
    Remove what an interrupted `write_file` left in a folder; call it under the lock.

    Returns:
        How many files were removed.
    """
    removed = 0
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            leftover.unlink()
            removed += 1
    return removed


@contextlib.contextmanager
def locked(lock_file: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """
    Hold the one lock under which state is changed.

    Args:
        lock_file: Made when missing, with its folder; it is never removed.
        timeout_s: How long to wait for another holder, > 0.
    Raises:
        StateLocked: another process held it for all that time.
        StateWriteFailed: the lock file cannot be made.
    """
    make_folder(lock_file.parent)
    try:
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _write_failed(lock_file, error) from error
    try:
        _acquire(descriptor, lock_file, timeout_s)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, lock_file: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
                raise _write_failed(lock_file, error) from error
            if time.monotonic() >= deadline:
                message = f"another process has held {lock_file} for {timeout_s:g} s"
                raise StateLocked(message) from None
            time.sleep(_LOCK_POLL_S)
        else:
            return


def _write_new(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        # fchmod, because the umask may have taken bits away, or an old temporary
        # file of the same name may have had other ones.
        os.fchmod(descriptor, mode)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_failed(path: Path, error: OSError) -> StateWriteFailed:
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = None
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "free some disk space and try again; the old file is still whole"
    return StateWriteFailed(f"cannot write {path}: {reason}", hint=hint)

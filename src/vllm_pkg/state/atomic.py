"""
Durable, atomic files.

The only module that calls ``os.replace`` and ``os.fsync``.
Source: rename(2), fsync(2), open(2) on O_EXCL; tests/crash.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import StateLocked, StateWriteFailed
from vllm_pkg.state import flock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

TEMPORARY_SUFFIX: Final = ".tmp"
CLAIM_AGE_MAX_S: Final = 60.0
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# The name ends in the writer's pid and a random part; a claim's name has no pid.
_WRITER: Final = re.compile(r"\.(\d+)\.[0-9a-f]{8}\.tmp$")


def make_folder(path: Path, mode: int = 0o700) -> None:
    """
    Make a folder and its parents durably, and set the folder's own mode when it is new.

    Raises:
        StateWriteFailed: the folder cannot be made.
    """
    try:
        if path.is_dir():
            return
        missing = [item for item in (path, *path.parents) if not item.exists()]
        # Never wider than asked, not even for a moment; chmod, because of the umask.
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        path.chmod(mode)
        # Files in a folder whose own name is lost are lost too.
        for item in missing:
            sync_folder(item.parent)
    except OSError as error:
        raise write_failed(path, error) from error


def write_file(
    path: Path, data: bytes, mode: int = 0o600, *, is_durable: bool = True
) -> None:
    """
    Replace a file by new content: the old or the new one exists, never a mixture.

    When it returns, the new content survives a loss of power. A failure leaves the old
    file whole and no temporary file behind; one failure comes too late for that, and
    its message says so: the new file is in place, and may not survive.

    Args:
        path: The file; its folder exists.
        data: The whole new content.
        mode: Permission bits of the file, whatever the umask is.
        is_durable: Whether it is to survive a loss of power; False is faster.
    Raises:
        StateWriteFailed: the disk is full, read-only or broken, or access is denied.
    """
    unique = f"{os.getpid()}.{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{unique}{TEMPORARY_SUFFIX}")
    _replace(path, temporary, data, mode, None, is_durable)


@contextlib.contextmanager
def new_file(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """
    Give a stream for content that takes the place of a file when the block has ended.

    For what is too large to be held in memory; see `write_file`. When the block raises,
    the old file is whole and no temporary file is left.

    Args:
        path: The file; its folder exists.
        mode: Permission bits of the file, whatever the umask is.
    Raises:
        StateWriteFailed: it cannot be written; any OSError of the block counts as that.
    """
    unique = f"{os.getpid()}.{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{unique}{TEMPORARY_SUFFIX}")
    try:
        folder = _open_folder(path.parent)
    except OSError as error:
        raise write_failed(path, error) from error
    try:
        with os.fdopen(os.open(temporary, _NEW, 0o600), "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)  # noqa: PTH105
        _sync_rename(path, folder)
    except OSError as error:
        raise write_failed(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _close(folder)


def make_link(path: Path, target: str) -> None:
    """
    Make a symbolic link durably.

    Raises:
        StateWriteFailed: it cannot be made.
    """
    try:
        path.symlink_to(target)
        sync_folder(path.parent)
    except OSError as error:
        raise write_failed(path, error) from error


def replace_file(
    path: Path, data: bytes, based_on: bytes | None, lock_file: Path, mode: int = 0o600
) -> None:
    """
    Replace a file as `write_file` does, but only if nobody has changed it meanwhile.

    This holds even where locks do nothing, as on some network file systems: the
    temporary file is named after the content that it replaces and is made exclusively,
    so of two writers that start from the same content only one can go on, and the
    other one is told. The rename ends the claim and the content it stands for at once.

    Args:
        path: The file; its folder exists.
        data: The whole new content.
        based_on: The content that the new one was made from; None: there was no file.
        lock_file: The lock that the caller holds.
        mode: Permission bits of the file, whatever the umask is.
    Raises:
        StateLocked: another program has changed the file, or is changing it.
        StateWriteFailed: see `write_file`.
    """
    digest = hashlib.sha256(b"-" if based_on is None else b"+" + based_on).hexdigest()
    claim = path.with_name(f".{path.name}.{digest[:32]}{TEMPORARY_SUFFIX}")
    conflict = StateLocked(f"another program has changed {path} at the same moment")

    def check() -> None:
        if read_file(path) != based_on:
            raise conflict

    try:
        _drop_leftover(claim, lock_file)
        _replace(path, claim, data, mode, check)
    except FileExistsError:
        raise conflict from None
    except OSError as error:
        raise write_failed(path, error) from error


def read_file(path: Path, size_max_bytes: int = -1) -> bytes | None:
    """
    Return a file's content, or None when there is no file.

    Args:
        path: The file.
        size_max_bytes: How much to read at most; -1: all of it.
    Raises:
        OSError: it exists and cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(size_max_bytes)
    except FileNotFoundError:
        return None


def reserve_file(path: Path) -> bool:
    """
    Make an empty file, to have its name.

    Returns:
        Whether the name was free.
    Raises:
        StateWriteFailed: it cannot be made.
    """
    try:
        _close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise write_failed(path, error) from error
    return True


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
        raise write_failed(source, error) from error


def set_mode(path: Path, mode: int) -> None:
    """
    Change who may use a file or folder.

    Raises:
        OSError: it cannot be changed.
    """
    path.chmod(mode)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = _open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        _close(descriptor)


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
        raise write_failed(path, error) from error
    return True


def sweep_temporary_files(folder: Path) -> int:
    """
    Remove what an interrupted write left in a folder; call it under the lock.

    A file of another process that lives is left alone: records are written without
    the lock.

    Returns:
        How many files were removed.
    Raises:
        StateWriteFailed: the folder cannot be read.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208  # glob hides some errors
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise write_failed(folder, error) from error
    removed = 0
    for name in names:
        if not name.startswith(".") or not name.endswith(TEMPORARY_SUFFIX):
            continue
        writer = _WRITER.search(name)
        pid = int(writer[1]) if writer else os.getpid()
        if pid != os.getpid() and os.path.exists(f"/proc/{pid}"):  # noqa: PTH110
            continue
        with contextlib.suppress(OSError):
            (folder / name).unlink()
            removed += 1
    return removed


def _replace(  # noqa: PLR0917
    path: Path,
    temporary: Path,
    data: bytes,
    mode: int,
    check: Callable[[], None] | None = None,
    is_durable: bool = True,  # noqa: FBT001, FBT002
) -> None:
    """Write, check and rename; FileExistsError: the temporary file is another's."""
    try:
        # Opened first: after the rename nothing may be missing to make it durable.
        folder = _open_folder(path.parent)
    except OSError as error:
        raise write_failed(path, error) from error
    try:
        _write_new(temporary, data, mode, is_durable=is_durable)
        if check is not None:
            check()
        os.replace(temporary, path)  # noqa: PTH105  # the call the tests trace
        if is_durable:
            _sync_rename(path, folder)
    except FileExistsError:
        raise
    except (OSError, StateLocked) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, StateLocked):
            raise
        raise write_failed(path, error) from error
    finally:
        _close(folder)


def _sync_rename(path: Path, folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        raise StateWriteFailed(
            f"{path} was written and may not survive a loss of power: {_reason(error)}",
            hint="check the disk; the new content is in place",
        ) from error


def _write_new(path: Path, data: bytes, mode: int, *, is_durable: bool) -> None:
    descriptor = os.open(path, _NEW, 0o600)
    try:
        # fchmod, because the umask may have taken bits away.
        os.fchmod(descriptor, mode)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if is_durable:
            os.fsync(descriptor)
    finally:
        _close(descriptor)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _close(descriptor: int) -> None:
    # All was synced before, and close(2) frees the number even when it fails.
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _drop_leftover(claim: Path, lock_file: Path) -> None:
    """Remove a claim that a killed writer left; raise FileExistsError if it lives."""
    try:
        age_s = time.time() - claim.stat().st_mtime
        if age_s < CLAIM_AGE_MAX_S and not flock.is_exclusive(lock_file):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(claim))
        claim.unlink()
    except FileNotFoundError:
        return


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def write_failed(path: Path, error: OSError) -> StateWriteFailed:
    """Return the error for a file that could not be written."""
    hint = None
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "free some disk space and try again; the old file is still whole"
    return StateWriteFailed(f"cannot write {path}: {_reason(error)}", hint=hint)

"""The one lock under which state is changed, and others of its kind."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import StateLocked
from vllm_pkg.settings import RESTORE_JOURNAL
from vllm_pkg.state import atomic, flock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_TIMEOUT_S: Final = 10.0


@contextlib.contextmanager
def locked(
    lock_file: Path,
    timeout_s: float = LOCK_TIMEOUT_S,
    *,
    finishes_restore: bool = False,
) -> Iterator[None]:
    """
    Hold the one lock under which state is changed.

    Args:
        lock_file: Made when missing, with its folder; it is never removed.
        timeout_s: How long to wait for another holder, > 0.
        finishes_restore: Whether the holder finishes a restore that was interrupted.
    Raises:
        StateLocked: another process held it for all that time, or a restore is to be
            finished first: what was changed before would be lost with it.
        StateWriteFailed: the lock file cannot be made.
    """
    atomic.make_folder(lock_file.parent)
    deadline_s = time.monotonic() + timeout_s
    try:
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise atomic.write_failed(lock_file, error) from error
    try:
        try:
            with _turn(lock_file.parent, deadline_s):
                is_held = flock.take(descriptor, deadline_s)
        except OSError as error:
            raise atomic.write_failed(lock_file, error) from error
        if not is_held:
            message = f"another process has held {lock_file} for {timeout_s:g} s"
            raise StateLocked(message)
        journal = lock_file.with_name(RESTORE_JOURNAL)
        if not finishes_restore and os.path.lexists(journal):
            raise StateLocked(
                "a restore of a backup is not finished",
                hint="finish it: start the service, or run: vllm-pkg init",
            )
        yield
    finally:
        flock.release(descriptor)


@contextlib.contextmanager
def _turn(folder: Path, deadline_s: float) -> Iterator[None]:
    """
    Hold the right to be the next one who gets the lock in a folder.

    Without it a process that takes the lock again and again would nearly always be
    faster than those that wait. Where a folder cannot be locked, luck decides.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            descriptor = os.open(folder, flags)
            stack.callback(flock.release, descriptor)
            flock.take(descriptor, deadline_s)
        yield

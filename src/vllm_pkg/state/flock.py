"""
Taking an advisory lock on an open file.

Source: flock(2). On some network file systems it does nothing; `is_exclusive` tells.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_POLL_S: Final = 0.001


def take(descriptor: int, deadline_s: float) -> bool:
    """
    Take a lock; return whether it was to be had in time.

    Args:
        descriptor: The open file; closing it gives the lock back.
        deadline_s: On the monotonic clock.
    Raises:
        OSError: the file system has no locks.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
                raise
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def release(descriptor: int) -> None:
    """Close the file of a lock; close(2) gives the lock back even when it fails."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


def is_exclusive(lock_file: Path) -> bool:
    """
    Whether the lock that the caller holds keeps a second holder out.

    Raises:
        OSError: the file cannot be opened.
    """
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    else:
        return False
    finally:
        release(descriptor)

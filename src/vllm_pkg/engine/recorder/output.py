"""
Passing the engine's output on, to a reader who may be slow, stuck or gone.

The engine must never wait for who reads its log: a reader who takes nothing for a while
is left behind until it takes something again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from typing import Final

# So long a reader may take nothing before the output goes on without it.
PATIENCE_S: Final = 5.0
_PIPE_BYTES: Final = 1024 * 1024
_GONE: Final = frozenset({errno.EPIPE, errno.EBADF, errno.EIO, errno.ECONNRESET})


class Output:
    """
    Writes chunks unchanged to a descriptor, and never fails.

    Args:
        descriptor: Where to.
        patience_s: So long it waits at most for a reader who takes nothing.
    """

    def __init__(self, descriptor: int, patience_s: float = PATIENCE_S) -> None:
        self._descriptor = descriptor
        self._patience_ms = int(patience_s * 1000)
        self._poll = select.poll()
        self._is_gone = False
        self._is_own = False
        self._is_stuck = False
        self._may_wait = True
        self._missing_bytes = 0
        # What can take something takes at least this much without waiting.
        self._piece_bytes = select.PIPE_BUF
        try:
            self._prepare(os.fstat(descriptor).st_mode)
            self._poll.register(self._descriptor, select.POLLOUT)
        except OSError:
            self._is_gone = True

    def write(self, chunk: bytes) -> None:
        """Pass a chunk on."""
        if self._missing_bytes and not self._is_gone and self._can_take():
            note = f"\n[vllm-pkg: {self._missing_bytes} bytes were not passed on]\n"
            self._missing_bytes = 0
            self._write(note.encode())
        self._write(chunk)

    def close(self) -> None:
        """Let the reader see the end; the descriptor that was given stays open."""
        if self._is_own:
            os.close(self._descriptor)
        self._is_gone, self._is_own = True, False

    def _prepare(self, mode: int) -> None:
        if stat.S_ISREG(mode):
            self._piece_bytes, self._may_wait = _PIPE_BYTES, False
        if not stat.S_ISFIFO(mode) and not stat.S_ISCHR(mode):
            return
        try:
            # Opened anew, because the flag of the one we were given is shared with
            # others; some of them could not live with it.
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            self._descriptor = os.open(f"/proc/self/fd/{self._descriptor}", flags)
            self._is_own = True
            self._piece_bytes, self._may_wait = _PIPE_BYTES, False
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            # Another user's pipe, or what cannot be made larger: slower, no more.
            return

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view and not self._is_gone:
            if self._may_wait and not self._can_take():
                break
            try:
                view = view[os.write(self._descriptor, view[: self._piece_bytes]) :]
                self._is_stuck = False
            except BlockingIOError:
                if not self._can_take():
                    break
            except OSError as error:
                # A full disk may have space again; a reader who is gone stays gone.
                self._is_gone = error.errno in _GONE
                break
        self._missing_bytes += len(view)

    def _can_take(self) -> bool:
        wait_ms = 0 if self._is_stuck else self._patience_ms
        self._is_stuck = not self._poll.poll(wait_ms)
        return not self._is_stuck

"""
A file that arrives piece by piece, and counts only when it is whole and on the disk.

The one module that calls ``os.fdatasync``. huggingface_hub 2 downloads into a file with
a random name, which it removes when the transfer fails and never finds again after a
kill; this one has the content's name, so that any later try goes on with it. After a
loss of power a try goes on with what was synced, which is all but the last step.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, Self

from vllm_pkg.models.download.hashing import hash_file, new_digest
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.models.download.listing import RemoteFile
    from vllm_pkg.models.download.sync_record import SyncRecord

# What a loss of power costs of each file. A file that is not longer needs no record.
SYNC_EVERY_BYTES: Final = 64 * 1024**2


class WrongContent(Exception):
    """All bytes have arrived, and they are not the announced ones."""


class PartFile:
    """
    The arriving content of one file; a context manager.

    Args:
        path: Where it arrives.
        file: What it will be.
        record: How much of it is known to be on the disk.
        on_checked: Told how many bytes of what was there already were read.
    """

    def __init__(
        self,
        path: Path,
        file: RemoteFile,
        record: SyncRecord,
        on_checked: Callable[[int], None],
    ) -> None:
        self._path = path
        self._file = file
        self._record = record if file.size_bytes > SYNC_EVERY_BYTES else None
        self._on_checked = on_checked
        self._descriptor = -1
        self._digest = new_digest(file)
        self._unsynced_bytes = 0
        self.size_bytes = 0

    def __enter__(self) -> Self:
        """Open it, and take over what an earlier try has brought."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o666)
        try:
            self._take_over(os.fstat(self._descriptor).st_size)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close it; what has arrived stays."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    @property
    def missing_bytes(self) -> int:
        """How much has still to arrive."""
        return self._file.size_bytes - self.size_bytes

    def restart(self) -> None:
        """Forget what has arrived."""
        if self._record and self.size_bytes:
            # First: the old record would vouch for what is written next.
            self._record.note(0)
        os.ftruncate(self._descriptor, 0)
        self._digest = new_digest(self._file)
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """
        Add what has just arrived.

        Raises:
            WrongContent: it is more than was announced.
            OSError: the disk is full or broken.
        """
        if len(data) > self.missing_bytes:
            self.restart()
            raise WrongContent(f"more than {self._file.size_bytes} bytes arrive")
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self._digest.update(bytes(view[:written]))
            self.size_bytes += written
            self._unsynced_bytes += written
            view = view[written:]
            if self._unsynced_bytes >= SYNC_EVERY_BYTES:
                self._sync()

    def finish(self, blob: Path) -> None:
        """
        Let the whole file count: check it, sync it, give it its name.

        Args:
            blob: Where the content belongs.
        Raises:
            WrongContent: its hash is another; what has arrived was thrown away.
            StateWriteFailed: it cannot be renamed.
        """
        if self._digest.hexdigest() != self._file.etag:
            self.restart()
            raise WrongContent("its hash is not the announced one")
        # Before it has its name, so that a blob with a name is whole after a loss of
        # power too.
        os.fdatasync(self._descriptor)
        atomic.move_file(self._path, blob)
        if self._record:
            self._record.forget()

    def _take_over(self, found_bytes: int) -> None:
        """Keep what is known to be good of an earlier try, and make that durable."""
        is_fitting = found_bytes <= self._file.size_bytes
        kept_bytes = found_bytes if is_fitting else 0
        if self._record:
            kept_bytes = self._record.trusted_bytes(kept_bytes)
        if kept_bytes < found_bytes:
            os.ftruncate(self._descriptor, kept_bytes)
        hash_file(self._path, self._digest, self._on_checked)
        self.size_bytes = kept_bytes
        if self._record:
            # A file without a durable name would be lost as a whole.
            atomic.sync_folder(self._path.parent)
            self._sync()

    def _sync(self) -> None:
        os.fdatasync(self._descriptor)
        self._unsynced_bytes = 0
        if self._record:
            self._record.note(self.size_bytes)

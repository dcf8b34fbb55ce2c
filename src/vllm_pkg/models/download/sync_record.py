"""
How much of an arriving file is known to be on the disk, for after a loss of power.

As long as the machine runs, all that was written is there, whoever was killed. After a
loss of power only what was synced is: behind it there may be zeros or nothing. So that
is written down, with the boot in which it holds, before anything is written behind it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from pathlib import Path


class SyncRecord:
    """
    The record of one arriving file.

    Args:
        path: Where it is kept; its folder exists.
        boot_id: The kernel's id of this boot; empty: it is not known.
    """

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path = path
        self._boot_id = boot_id

    def trusted_bytes(self, size_bytes: int) -> int:
        """
        Return how much of an arriving file can be gone on with.

        Args:
            size_bytes: How long it is.
        Returns:
            All of it, when this boot has written it or nobody wrote anything down, as
            other programs do; else what was synced.
        Raises:
            OSError: the record cannot be read.
        """
        data = atomic.read_file(self._path)
        if data is None:
            return size_bytes
        try:
            document = json.loads(data)
            boot_id, synced_bytes = document["boot_id"], int(document["synced_bytes"])
        except (ValueError, KeyError, TypeError):
            return 0
        if boot_id and boot_id == self._boot_id:
            return size_bytes
        return max(0, min(size_bytes, synced_bytes))

    def note(self, synced_bytes: int) -> None:
        """
        Write down durably how much is synced; that must have happened before.

        Raises:
            StateWriteFailed: it cannot be written.
        """
        document = {"boot_id": self._boot_id, "synced_bytes": synced_bytes}
        atomic.write_file(self._path, json.dumps(document).encode())

    def forget(self) -> None:
        """Remove the record of a file that is whole; one that is left does no harm."""
        self._path.unlink(missing_ok=True)

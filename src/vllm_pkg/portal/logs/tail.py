"""Reading a log that another process writes, cuts and rotates, as its text comes."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from vllm_pkg.hosts.standalone.log_files import open_log
from vllm_pkg.service.log_list import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUDGET_BYTES: Final = 40 * 1024 * 1024
CHUNK_BYTES: Final = 1024 * 1024


@dataclass
class Tail:
    """
    The text of a log from a place near its end, and then what is added.

    Args:
        path: The log; it need not exist yet.
        budget_bytes: How much of what there is at most.
        is_cut: Whether there was more.
    """

    path: Path
    budget_bytes: int = BUDGET_BYTES
    is_cut: bool = False
    _stream: BinaryIO | None = None
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def history(self) -> Iterator[str]:
        """
        Yield what stands there already.

        Raises:
            StateUnreadable: a file of it cannot be read.
        """
        parts = parts_of(self.path)
        left = self.budget_bytes
        chosen: list[tuple[Path, int]] = []
        for part in parts:
            chosen.insert(0, (part.path, max(0, part.size_bytes - left)))
            left -= part.size_bytes
            if left <= 0:
                break
        self.is_cut = left < 0 or len(chosen) < len(parts)
        for path, start in chosen:
            self.close()
            self._stream = open_log(path)
            if self._stream is None:
                continue
            self._stream.seek(start)
            if start:
                self._stream.readline(CHUNK_BYTES)
            yield from self._rest(self._stream)
        if chosen and chosen[-1][0] != self.path:
            # The newest one is just being made.
            self.close()

    def added(self) -> Iterator[str] | None:
        """
        Return what was added since the last call.

        Returns:
            The text in pieces; None: the file was cut, and is to be read anew.
        Raises:
            StateUnreadable: it cannot be read.
        """
        if self._stream is None:
            self._stream = open_log(self.path)
        elif os.fstat(self._stream.fileno()).st_size < self._stream.tell():
            self.close()
            return None
        return self._added()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _added(self) -> Iterator[str]:
        if self._stream is None:
            return
        yield from self._rest(self._stream)
        if _was_replaced(self.path, self._stream.fileno()):
            # What came between the two looks at it.
            yield from self._rest(self._stream)
            self._stream.close()
            self._stream = open_log(self.path)
            if self._stream is not None:
                yield from self._rest(self._stream)

    def _rest(self, stream: BinaryIO) -> Iterator[str]:
        while chunk := stream.read(CHUNK_BYTES):
            yield self._decoder.decode(chunk)


def _was_replaced(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino != os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False

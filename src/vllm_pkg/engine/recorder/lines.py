"""
Lines out of a stream of bytes, and not more of them than can be looked at.

A flood is not worth reading: beyond a number of bytes per second the lines are left
out, so that looking at them never holds the engine's output back.
"""

from __future__ import annotations

import re
from typing import Final

LINE_SIZE_MAX_BYTES: Final = 4096
BYTES_PER_S_MAX: Final = 256 * 1024
_PERIOD_S: Final = 1.0
# Progress bars end their lines with a carriage return.
_ENDS: Final = re.compile(rb"[\r\n]+")


class LineReader:
    """Takes chunks as they come and gives whole lines, the long ones cut."""

    def __init__(self) -> None:
        self._partial = b""
        self._is_skipping = False
        self._period_began_s = float("-inf")
        self._left_bytes = 0

    def feed(self, chunk: bytes, now_s: float) -> list[str]:
        """
        Take a chunk.

        Args:
            chunk: What came, of any length.
            now_s: Seconds since boot.
        Returns:
            The lines that it ends, without empty ones.
        """
        if now_s - self._period_began_s >= _PERIOD_S:
            self._period_began_s = now_s
            self._left_bytes = BYTES_PER_S_MAX
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            # What begins in here is unknown until a line ends again.
            self._partial, self._is_skipping = b"", True
            return []
        *whole, rest = _ENDS.split(self._partial + chunk)
        if self._is_skipping and whole:
            whole, self._is_skipping = whole[1:], False
        if not self._is_skipping:
            self._partial = rest[:LINE_SIZE_MAX_BYTES]
        return [
            line[:LINE_SIZE_MAX_BYTES].decode("utf-8", errors="replace")
            for line in whole
            if line
        ]

"""
Reading logs page by page: the newest lines first, back to the oldest, and live on.

A position in a log is the number of its file's inode and an offset, so that it stays
right when the file is renamed, as logs are when they have grown to their limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import InvalidArgument
from vllm_pkg.service.log_lines import LogLine, read_line
from vllm_pkg.service.log_list import (
    BLOCK_BYTES,
    Part,
    log_path,
    parts_of,
    read_part,
)

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

LINES_MAX: Final = 10_000
# A page is bounded in bytes, too: a log may have lines of any length.
PAGE_BYTES_MAX: Final = 16 * 1024 * 1024
NEWS_BYTES_MAX: Final = 1024 * 1024
_POSITION: Final = re.compile(r"(\d{1,20})-(\d{1,19})")
_NEWLINE: Final = b"\n"


@dataclass(frozen=True, order=True)
class Position:
    """
    A place in a log.

    Args:
        inode: Of the file.
        offset: Bytes before it in that file.
    """

    inode: int
    offset: int

    def __str__(self) -> str:
        return f"{self.inode}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """
        Read what `__str__` wrote.

        Raises:
            InvalidArgument: it is something else.
        """
        found = _POSITION.fullmatch(text) if text.isascii() else None
        if found is None:
            raise InvalidArgument(
                f"{text[:80]!r} is no position in a log",
                hint="use one that an earlier answer gave",
            )
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class LogPage:
    """
    Some lines of a log, in order.

    Args:
        lines: The lines; empty ones are left out.
        before: Where the lines before these end; None: there are none.
        after: Where what follows begins, for `read_news`; None: the log has no file.
        open: A line that has begun and has not ended, as it is shown now; it comes
            again, longer, until it ends.
    """

    lines: tuple[LogLine, ...]
    before: Position | None
    after: Position | None
    open: LogLine | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "lines": [line.as_json() for line in self.lines],
            "before": None if self.before is None else str(self.before),
            "after": None if self.after is None else str(self.after),
            "open": None if self.open is None else self.open.as_json(),
        }


def read_page(
    settings: Settings,
    log_id: str,
    lines: int = LINES_MAX,
    before: Position | None = None,
) -> LogPage:
    """
    Return the last lines of a log, or those before a position.

    Args:
        settings: Where the logs are.
        log_id: Which log.
        lines: How many at most, > 0. Fewer may come although there are more, when they
            are very long; ``before`` of the page tells.
        before: ``before`` of a later page; None: the end of the log.
    Returns:
        The page; it is empty where what was before has been thrown away meanwhile.
    Raises:
        NotFound: there is no log of that name.
        StateUnreadable: a file cannot be read.
    """
    parts = parts_of(log_path(settings, log_id))
    if not parts:
        return LogPage((), None, None)
    index, end = 0, parts[0].size_bytes
    if before is not None:
        index = _index_of(parts, before.inode)
        if index < 0:
            return LogPage((), None, None)
        end = min(before.offset, parts[index].size_bytes)
    text = _Backwards(parts, index, end)
    text.read(lines)
    return text.page(lines)


def read_news(settings: Settings, log_id: str, after: Position) -> LogPage:
    """
    Return what was added to a log since a position, at most a MiB of it.

    Args:
        settings: Where the logs are.
        log_id: Which log.
        after: ``after`` of an earlier page.
    Returns:
        The lines that have ended since, and the open one. ``after`` of the page says
        where to go on; when it differs from that given, there may be more at once.
    Raises:
        NotFound: there is no log of that name.
        StateUnreadable: a file cannot be read.
    """
    parts = parts_of(log_path(settings, log_id))
    if not parts:
        return LogPage((), None, after)
    # A file that has gone was older than all that are left.
    index = _index_of(parts, after.inode)
    index = len(parts) - 1 if index < 0 else index
    part = parts[index]
    # A start's log gets shorter when its middle is taken out; news are at its end.
    offset = min(after.offset, part.size_bytes) if part.inode == after.inode else 0
    data = read_part(part, offset, NEWS_BYTES_MAX)
    *whole, rest = data.split(_NEWLINE)
    is_all = offset + len(data) >= part.size_bytes
    if index > 0 and is_all:
        # A newer file goes on with the line that this one ends in.
        return _page_of_old_part(parts[index - 1], whole, rest)
    if not whole and len(rest) >= NEWS_BYTES_MAX:
        whole, rest = [rest], b""
    position = Position(part.inode, offset + len(data) - len(rest))
    return LogPage(_shown(whole), None, position, read_line(rest))


class _Backwards:
    """
    A log read from a place to its beginning, a block at a time.

    Args:
        parts: Its files, the newest first.
        index: In which file the place is.
        end: Its offset there.
    """

    def __init__(self, parts: tuple[Part, ...], index: int, end: int) -> None:
        self._parts = parts
        self._index = index
        self._offset = end
        self._pass_empty_files()
        self._end = Position(parts[index].inode, end)
        # The newest block last, each with its place.
        self._blocks: list[tuple[Position, bytes]] = []

    def read(self, lines: int) -> None:
        """Read until there are that many lines, or too many bytes, or no more."""
        newlines = size_bytes = 0
        # One more newline than lines: it ends the line before the first one.
        while newlines <= lines and size_bytes < PAGE_BYTES_MAX and self._has_more:
            part = self._parts[self._index]
            start = max(0, self._offset - BLOCK_BYTES)
            data = read_part(part, start, self._offset - start)
            self._blocks.insert(0, (Position(part.inode, start), data))
            newlines += data.count(_NEWLINE)
            size_bytes += len(data)
            self._offset = start
            self._pass_empty_files()

    def _pass_empty_files(self) -> None:
        """Go on at the end of an older file where nothing is left of this one."""
        while not self._offset and self._index + 1 < len(self._parts):
            self._index += 1
            self._offset = self._parts[self._index].size_bytes

    @property
    def _has_more(self) -> bool:
        return self._offset > 0

    def page(self, lines: int) -> LogPage:
        """Return what was read as a page of the last lines."""
        text = b"".join(data for _, data in self._blocks)
        begin = self._beginning(text, lines)
        *whole, rest = text[begin:].split(_NEWLINE)
        place = self._place(begin)
        is_first = begin == 0 and not self._has_more
        return LogPage(
            lines=_shown(whole),
            before=None if is_first else place,
            after=self._place(len(text) - len(rest)),
            open=read_line(rest),
        )

    def _beginning(self, text: bytes, lines: int) -> int:
        """Return where in the text the first line of the page begins."""
        end = text.rfind(_NEWLINE)
        for _ in range(lines):
            if end < 0:
                break
            end = text.rfind(_NEWLINE, 0, end)
        if end >= 0:
            return end + 1
        if not self._has_more:
            return 0
        # The first line is not whole; one that is longer than a page stays cut.
        return text.find(_NEWLINE) + 1 if text.count(_NEWLINE) > 1 else 0

    def _place(self, index: int) -> Position:
        """Return which place in the log an index into the text is."""
        for position, data in self._blocks:
            if index < len(data):
                return Position(position.inode, position.offset + index)
            index -= len(data)
        return self._end


def _page_of_old_part(newer: Part, whole: list[bytes], rest: bytes) -> LogPage:
    if not rest:
        return LogPage(_shown(whole), None, Position(newer.inode, 0))
    head, newline, _ = read_part(newer, 0, NEWS_BYTES_MAX).partition(_NEWLINE)
    end = len(head) + len(newline)
    return LogPage(_shown([*whole, rest + head]), None, Position(newer.inode, end))


def _shown(lines: list[bytes]) -> tuple[LogLine, ...]:
    shown = (read_line(line) for line in lines)
    return tuple(line for line in shown if line is not None)


def _index_of(parts: tuple[Part, ...], inode: int) -> int:
    found = (index for index, part in enumerate(parts) if part.inode == inode)
    return next(found, -1)

"""Which lines of a log one reader sees, and where what is searched for stands. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.diagnosis.lines import read_line
from vllm_pkg.engine.exit_report import START_MARK
from vllm_pkg.service.log_levels import Level, level_of

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE_SHOWN_MAX: Final = 4000
_NUMBERS: Final = "I"


@dataclass
class Lines:
    """
    The lines of a log with their levels.

    Args:
        texts: As they are shown.
        levels: One byte each, a `Level`.
    """

    texts: list[str] = field(default_factory=lambda: [""])
    levels: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.levels)

    def grade(self, first: int) -> None:
        """
        Find the levels of the lines from *first* on.

        The last line is none while nothing stands in it.
        """
        count = len(self.texts) - (not self.texts[-1])
        del self.levels[first:]
        before = Level(self.levels[-1]) if self.levels else Level.OTHER
        for text in self.texts[len(self.levels) : count]:
            before = level_of(text, before)
            self.levels.append(before)

    def count(self, level: Level) -> int:
        """Return how many lines have that level."""
        return self.levels.count(level)


@dataclass
class View:
    """
    What one reader sees of a log: positions count the lines that pass the filter.

    Args:
        lines: The log.
        levels: Which levels are shown; empty: all of them.
        query: What is searched for, in any case; empty: nothing.
        shown: The lines that pass the filter; None: all of them.
        matches: Positions of the lines in which the query stands.
    """

    lines: Lines
    levels: frozenset[Level] = frozenset()
    query: str = ""
    shown: array[int] | None = None
    matches: array[int] = field(default_factory=lambda: array(_NUMBERS))

    def __len__(self) -> int:
        return len(self.lines) if self.shown is None else len(self.shown)

    def filter(self, levels: frozenset[Level]) -> None:
        """Show only these levels; none of them means all."""
        self.levels = levels
        self.shown = array(_NUMBERS) if levels else None
        self.update(0)

    def search(self, query: str) -> None:
        """Find the lines in which *query* stands."""
        self.query = query.lower()
        self._match(0)

    def update(self, first: int) -> int:
        """
        Take in that the lines from *first* on have changed.

        Returns:
            The first position that is not as it was before.
        """
        position = first
        if self.shown is not None:
            position = bisect_left(self.shown, first)
            del self.shown[position:]
            codes = self.levels
            graded = enumerate(self.lines.levels[first:], first)
            self.shown.extend(number for number, code in graded if code in codes)
        self._match(position)
        return position

    def texts(self, first: int, end: int) -> Sequence[str]:
        """Return the whole lines of the positions from *first* to before *end*."""
        if self.shown is None:
            return self.lines.texts[first : min(end, len(self))]
        return [self.lines.texts[number] for number in self.shown[first:end]]

    def rows(self, first: int, end: int) -> list[tuple[int, str, int]]:
        """
        Return what is drawn at the positions from *first* to before *end*.

        Returns:
            For each the level, the text, and how many characters are left out of it.
        """
        every = range(len(self)) if self.shown is None else self.shown
        levels, texts = self.lines.levels, self.lines.texts
        return [
            (
                levels[number],
                texts[number][:LINE_SHOWN_MAX],
                max(0, len(texts[number]) - LINE_SHOWN_MAX),
            )
            for number in every[first:end]
        ]

    def position_of(self, line: int) -> int | None:
        """Return where a line is shown, or None where the filter hides it."""
        if self.shown is None:
            return line if line < len(self) else None
        position = bisect_left(self.shown, line)
        found = position < len(self.shown) and self.shown[position] == line
        return position if found else None

    def next_match(self, position: int, *, is_back: bool = False) -> int | None:
        """
        Return the number of the match after a position, or before it.

        Args:
            position: From where; -1: from the beginning.
            is_back: Whether to go towards the beginning.
        Returns:
            An index into ``matches``, past the end the first one again; None: there
            is no match.
        """
        if not self.matches:
            return None
        if is_back:
            number = bisect_left(self.matches, max(0, position)) - 1
        else:
            number = bisect_right(self.matches, position) if position >= 0 else 0
        return number % len(self.matches)

    def _match(self, first: int) -> None:
        del self.matches[bisect_left(self.matches, first) :]
        if not self.query:
            return
        query = self.query
        self.matches.extend(
            position
            for position, text in enumerate(self.texts(first, len(self)), first)
            if query in text.lower()
        )


def first_line_of(texts: Sequence[str], evidence: str) -> int | None:
    """
    Return the number of the line that told why the last start failed.

    Args:
        texts: The lines of a log, maybe of many starts.
        evidence: The line as the failure names it: without what stands around its
            message, and maybe two lines in one.
    """
    wanted = evidence.strip()
    if not wanted:
        return None
    marks = (n for n in range(len(texts) - 1, -1, -1) if START_MARK in texts[n])
    last_start = next(marks, 0)
    for first in (last_start, 0):
        lines = texts[first:]
        for number, text in enumerate(lines, first):
            if wanted in text:
                return number
        for number, pair in enumerate(pairwise(lines), first):
            if "".join(read_line(text).text for text in pair).strip() == wanted:
                return number
    return None

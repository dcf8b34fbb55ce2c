"""One person's reading of a log: what is shown, searched for, and jumped to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.portal.logs.view import first_line_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.portal.logs.document import LogDocument, LogShelf, Reader
    from vllm_pkg.portal.logs.log_view import LogView
    from vllm_pkg.service.log_levels import Level

COPIED_LINES_MAX: Final = 10_000
_NOWHERE: Final = -1


@dataclass
class Reading:
    """
    Keeps the window of one browser on the log that is open in it.

    Args:
        shelf: Where logs are read.
        window: Shows the lines.
        on_news: Called when something else is shown, to tell it around the window.
        on_missing: Called when the line of a failure is not in the log.
        document: The open log; None: none yet.
        reader: What is seen of it.
        match: Which match is shown, counted from 0; None: none.
        is_following: Whether the window stays at the end.
    """

    shelf: LogShelf
    window: LogView
    on_news: Callable[[], None]
    on_missing: Callable[[], None]
    document: LogDocument | None = None
    reader: Reader | None = None
    match: int | None = None
    is_following: bool = True
    _position: int = _NOWHERE

    async def follow(self, path: Path, query: str, evidence: str | None) -> None:
        """
        Show a log and what is added to it until cancelled.

        Args:
            path: Which log.
            query: What to search for at once, and to jump to.
            evidence: The line of a failure to jump to, or None.
        """
        async with self.shelf.reading(path) as (document, reader):
            self.document, self.reader = document, reader
            self._leave_match()
            await self._take_in()
            if evidence:
                await self.show_evidence(evidence)
            elif query:
                await self.search(query)
                await self.step()
            while True:
                await self._take_in()

    async def _take_in(self) -> None:
        document, reader = self._open()
        await reader.news.wait()
        reader.news.clear()
        async with document.lock:
            stale, reader.stale_from = reader.stale_from, None
            is_anew, reader.is_anew = reader.is_anew, False
            first = reader.view.update(stale or 0)
            if is_anew:
                self._show_anew()
            else:
                self.window.show_change(reader.view, first)
            self.on_news()

    async def filter(self, levels: frozenset[Level]) -> None:
        """Show only these levels; none of them means all."""
        document, reader = self._open()
        async with document.lock:
            reader.view.filter(levels)
            self._show_anew()
            self.on_news()

    async def search(self, query: str) -> None:
        """Find the lines in which *query* stands."""
        document, reader = self._open()
        if query.lower() == reader.view.query:
            return
        async with document.lock:
            reader.view.search(query)
            self._leave_match()
            self.window.show_marks(reader.view.query, self._position)
            self.on_news()

    async def step(self, *, is_back: bool = False) -> None:
        """Go to the next match, or to the one before."""
        document, reader = self._open()
        async with document.lock:
            view = reader.view
            self.match = view.next_match(self._position, is_back=is_back)
            if self.match is not None:
                self._go(view.matches[self.match])
            self.on_news()

    async def show_evidence(self, evidence: str) -> None:
        """Go to the line that told why the last start failed."""
        document, reader = self._open()
        async with document.lock:
            texts = reader.view.lines.texts
            line = await asyncio.to_thread(first_line_of, texts, evidence)
            if line is None:
                self.on_missing()
                return
            if reader.view.levels:
                reader.view.filter(frozenset())
                self._show_anew()
            self.match = None
            self._go(line)
            self.on_news()

    async def give(self, edition: int, first: int, end: int) -> None:
        """Give the window lines that it asks for."""
        document, reader = self._open()
        async with document.lock:
            self.window.show_needed(reader.view, edition, first, end)

    async def last_lines(self) -> list[str]:
        """Return the last lines that are shown, whole."""
        document, reader = self._open()
        async with document.lock:
            total = len(reader.view)
            first = max(0, total - COPIED_LINES_MAX)
            return list(reader.view.texts(first, total))

    def _open(self) -> tuple[LogDocument, Reader]:
        if self.document is None or self.reader is None:
            raise RuntimeError("no log is open")
        return self.document, self.reader

    def _show_anew(self) -> None:
        _, reader = self._open()
        self._leave_match()
        self.window.show_anew(reader.view, may_follow=self.is_following)

    def _leave_match(self) -> None:
        self.match = None
        self._position = _NOWHERE

    def _go(self, position: int) -> None:
        _, reader = self._open()
        self._position = position
        self.window.show_marks(reader.view.query, position)
        self.window.show_line(position)

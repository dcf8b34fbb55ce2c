"""A log that is read once for all who look at it, and followed while they do."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nicegui import background_tasks

from vllm_pkg.errors import ServiceError
from vllm_pkg.portal.logs.tail import Tail
from vllm_pkg.portal.logs.terminal import Terminal
from vllm_pkg.portal.logs.view import Lines, View

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from pathlib import Path

LINES_MAX: Final = 500_000
DROPPED_AT_ONCE: Final = 50_000
POLL_S: Final = 0.25


@dataclass
class Reader:
    """
    One who looks at a log.

    Args:
        view: What is seen of it.
        stale_from: The first line that the view has not taken in; None: it has all.
        is_anew: Whether the lines have got other numbers since.
        news: Set when there is something to take in.
    """

    view: View
    stale_from: int | None = 0
    is_anew: bool = True
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, first: int) -> None:
        """Remember that the lines from *first* on have changed."""
        self.stale_from = (
            first if self.stale_from is None else min(self.stale_from, first)
        )


@dataclass
class LogDocument:
    """
    The lines of a log, as a terminal would show them.

    Everything that reads or changes the lines holds the lock.

    Args:
        path: The log.
        lines: Its lines.
        is_cut: Whether older lines are left out.
        error: Why it cannot be read, or None.
        lock: Whoever holds it may use the lines.
    """

    path: Path
    lines: Lines = field(default_factory=Lines)
    is_cut: bool = False
    error: ServiceError | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    readers: list[Reader] = field(default_factory=list)
    is_loaded: bool = False
    _tail: Tail = field(init=False)
    _terminal: Terminal = field(default_factory=Terminal)

    def __post_init__(self) -> None:
        self._tail = Tail(self.path)
        self.lines.texts = self._terminal.rows

    async def run(self) -> None:
        """Read what is added for as long as there are readers."""
        try:
            while self.readers:
                async with self.lock:
                    await asyncio.to_thread(self.read_more)
                for reader in self.readers:
                    if reader.stale_from is not None:
                        reader.news.set()
                await asyncio.sleep(POLL_S)
        finally:
            self.close()

    def close(self) -> None:
        """Close the files."""
        self._tail.close()

    def read_more(self) -> None:
        """Read what there is to read now; the lock must be held."""
        try:
            pieces = self._tail.added() if self.is_loaded else self._tail.history()
            if pieces is None:
                self._begin_anew()
                pieces = self._tail.history()
            self._take(pieces)
            self.error = None
        except ServiceError as error:
            self.error = error
        self.is_cut = self.is_cut or self._tail.is_cut
        self.is_loaded = True

    def _begin_anew(self) -> None:
        self._terminal = Terminal()
        self.lines.texts = self._terminal.rows
        self.lines.levels.clear()
        self._renumber()

    def _take(self, pieces: Iterable[str]) -> None:
        for piece in pieces:
            first = self._terminal.feed(piece)
            self.lines.grade(min(first, len(self.lines)))
            if first < len(self.lines.texts):
                self._note(first)
            excess = len(self.lines) - LINES_MAX
            if excess > 0:
                self._drop(max(excess, DROPPED_AT_ONCE))

    def _drop(self, count: int) -> None:
        self.is_cut = True
        self._terminal.drop_first(count)
        del self.lines.levels[:count]
        self._renumber()

    def _renumber(self) -> None:
        for reader in self.readers:
            reader.is_anew = True
        self._note(0)

    def _note(self, first: int) -> None:
        for reader in self.readers:
            reader.note(first)


@dataclass
class LogShelf:
    """The logs that somebody looks at now."""

    documents: dict[Path, LogDocument] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def reading(self, path: Path) -> AsyncGenerator[tuple[LogDocument, Reader]]:
        """Read a log for as long as the block lasts."""
        document = self.documents.get(path)
        is_new = document is None
        if document is None:
            document = self.documents[path] = LogDocument(path)
        reader = Reader(View(document.lines))
        document.readers.append(reader)
        if is_new:
            background_tasks.create(document.run(), name=f"log {path.name}")
        try:
            yield document, reader
        finally:
            document.readers.remove(reader)
            if not document.readers:
                del self.documents[path]

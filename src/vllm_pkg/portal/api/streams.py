"""
Server-sent events: of the state, and of a log.

A stream is pulled, never pushed: the next event is made when the last one has been
handed to the network, so a slow reader holds one event and misses those in between. One
that takes nothing for half a minute is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sse_starlette import EventSourceResponse, ServerSentEvent

from vllm_pkg.errors import ServiceError, UsageError
from vllm_pkg.service.log_pages import LogPage, read_news, read_page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from vllm_pkg.portal.feed import Look, StateFeed
    from vllm_pkg.service.log_pages import Position
    from vllm_pkg.settings import Settings

HEARTBEAT_S: Final = 15
SEND_TIMEOUT_S: Final = 30.0
STREAMS_MAX: Final = 500
LOG_POLL_S: Final = 0.25
_NEWLINE: Final = "\n"


class TooManyStreams(UsageError):
    """So many streams of events are open that no other one is begun."""

    code = "too-many-streams"
    exit_code = 75
    http_status: ClassVar[int] = 429
    default_hint = "close those that nobody reads"


class Streams:
    """The streams of events that are open."""

    def __init__(self) -> None:
        self.open = 0
        self._told: tuple[int, str, str] = (-1, "", "")

    def state(self, feed: StateFeed) -> EventSourceResponse:
        """
        Begin a stream of the state: what it is now, then each change.

        Raises:
            TooManyStreams: there are as many as there may be.
        """
        self._check()
        return _response(self._counted(self._states(feed)))

    def log(
        self, settings: Settings, log_id: str, lines: int, after: Position | None
    ) -> EventSourceResponse:
        """
        Begin a stream of a log: its last lines, then what is added.

        Args:
            settings: Where the logs are.
            log_id: Which log.
            lines: How many lines come first.
            after: Where a stream before this one ended: it goes on there instead.
        Raises:
            TooManyStreams: there are as many as there may be.
        """
        self._check()
        return _response(self._counted(_log_events(settings, log_id, lines, after)))

    def _check(self) -> None:
        if self.open >= STREAMS_MAX:
            raise TooManyStreams(f"{STREAMS_MAX} streams of events are open already")

    async def _counted(
        self, events: AsyncGenerator[ServerSentEvent]
    ) -> AsyncIterator[ServerSentEvent]:
        with self._one_more():
            async with contextlib.aclosing(events):
                async for event in events:
                    yield event

    @contextlib.contextmanager
    def _one_more(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    async def _states(self, feed: StateFeed) -> AsyncGenerator[ServerSentEvent]:
        async with contextlib.aclosing(feed.looks()) as looks:
            async for look in looks:
                name, text = self._text(look)
                yield ServerSentEvent(
                    text, event=name, id=str(look.number), sep=_NEWLINE
                )

    def _text(self, look: Look) -> tuple[str, str]:
        """Return a look as the name and the text of an event; made once for all."""
        if self._told[0] != look.number:
            if look.state is None:
                self._told = (look.number, "problem", _json({"error": look.error}))
            else:
                self._told = (look.number, "state", _json(look.state))
        return self._told[1:]


async def _log_events(
    settings: Settings, log_id: str, lines: int, after: Position | None
) -> AsyncGenerator[ServerSentEvent]:
    shown = None
    try:
        if after is None:
            page = await asyncio.to_thread(read_page, settings, log_id, lines)
            yield _log_event("history", page)
            after, shown = page.after, page.open
        while True:
            if after is None:
                # The log has no file yet: its first lines are news.
                news = await asyncio.to_thread(read_page, settings, log_id, lines)
            else:
                news = await asyncio.to_thread(read_news, settings, log_id, after)
            if news.lines or news.open != shown:
                yield _log_event("lines", news)
            is_moving = news.after != after
            after, shown = news.after, news.open
            if not is_moving:
                await asyncio.sleep(LOG_POLL_S)
    except ServiceError as error:
        yield ServerSentEvent(_json(error.as_json()), event="problem", sep=_NEWLINE)


def _log_event(name: str, page: LogPage) -> ServerSentEvent:
    position = None if page.after is None else str(page.after)
    return ServerSentEvent(_json(page.as_json()), event=name, id=position, sep=_NEWLINE)


def _response(events: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    return EventSourceResponse(
        events,
        ping=HEARTBEAT_S,
        ping_message_factory=lambda: ServerSentEvent(comment="still here", sep="\n"),
        send_timeout=SEND_TIMEOUT_S,
        sep=_NEWLINE,
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)

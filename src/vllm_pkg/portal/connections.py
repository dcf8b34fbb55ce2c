"""
What one connection may cost before anybody is known: uvicorn bounds neither.

Heads of requests have a size and a time in which they have to arrive, and so has what
is left of a body whose request has been answered. A stranger who sends more, or hardly
anything, is cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

# A token of a megabyte is still answered as a wrong one.
OVERHEAD_MAX_BYTES: Final = 2 * 1024 * 1024
ARRIVAL_S: Final = 10.0
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedConnection(HttpToolsProtocol):
    """One connection to the portal, over which requests come one after another."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Of the request that arrives: bytes that are not of its body.
        self._overhead_bytes = 0
        self._is_body = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, unless it is too much."""
        self._overhead_bytes += len(data)
        if not self._is_body:
            self._expect()
        super().data_received(data)
        if self._overhead_bytes > OVERHEAD_MAX_BYTES and not self._is_closing():
            if not self._is_body:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Count a new request."""
        super().on_message_begin()
        self._overhead_bytes = 0

    def on_headers_complete(self) -> None:
        """Let the application take its time with the body."""
        self._is_body = True
        self._expect_nothing()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Leave what an application reads, and bounds, out of the count."""
        self._overhead_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Be ready for the next request, which may come whenever it likes."""
        self._is_body = False
        self._overhead_bytes = 0
        self._expect_nothing()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that nobody reads any more."""
        super().on_response_complete()
        if self._is_body:
            self._expect()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to who speaks that protocol."""
        self._expect_nothing()
        super().handle_websocket_upgrade()

    def _expect(self) -> None:
        if self._deadline is None and not self._is_closing():
            self._deadline = self.loop.call_later(ARRIVAL_S, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _is_closing(self) -> bool:
        return bool(self.transport.is_closing())

"""Streams end when what let them in does: a changed token, a logout, or the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_pkg.portal.access.answers import POLICY_VIOLATED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vllm_pkg.portal.access.gate import Shown

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]


class AccessEnded(Exception):
    """What let a stream in does not count any more."""


class Watched:
    """
    One connection that is let in for as long as what it showed counts.

    An answer that was let in is finished; websockets and streams of events are cut with
    the next message in either direction, and these come every few seconds.

    Args:
        shown: What it showed; None: it is open to everybody.
        receive: Of the connection.
        send: Of the connection.
    """

    def __init__(self, shown: Shown | None, receive: Receive, send: Send) -> None:
        self.is_over = False
        self.is_left = False
        self._shown = shown
        self._receive = receive
        self._send = send
        self._closing: dict[str, Any] | None = None

    async def receive(self) -> dict[str, Any]:
        """Pass a message on to the application, or tell it that the other side left."""
        message = await self._receive()
        self.is_left |= message["type"] == "http.disconnect"
        if message["type"] == "websocket.receive" and self._has_ended():
            await self.close()
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATED}
        return message

    async def send(self, message: dict[str, Any]) -> None:
        """
        Pass a message of the application on.

        Raises:
            AccessEnded: it is not let in any more.
        """
        kind = message["type"]
        is_stream = kind == "http.response.body" and message.get("more_body", False)
        if is_stream:
            self._closing = {"type": kind, "body": b"", "more_body": False}
        elif kind == "websocket.accept":
            self._closing = {"type": "websocket.close", "code": POLICY_VIOLATED}
        elif kind in {"websocket.close", "http.response.body"}:
            self._closing = None
        if (is_stream or kind == "websocket.send") and self._has_ended():
            raise AccessEnded
        await self._send(message)

    async def close(self) -> None:
        """End the connection, if that is still to be done."""
        closing, self._closing = self._closing, None
        if closing is not None:
            await self._send(closing)

    def _has_ended(self) -> bool:
        if self._shown is not None and not self._shown.is_in_force():
            self.is_over = True
        return self.is_over

# ruff: noqa: INP001  # a script, in no package
"""Middleware for the benchmark: one engine that is guarded, or not, as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.guard.middleware import Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BARE: Final = "/bench-switch/bare"
GUARDED: Final = "/bench-switch/guarded"


class Switch:
    """
    Passes connections through the guard or past it; a request to a path switches.

    Both ways cost the same here, so that two rounds differ by the guard alone: it is
    the same process with the same memory, which two engines would not be.
    """

    def __init__(self, app: Any) -> None:
        guarded = Guard(app)
        self._ways: dict[str, Any] = {BARE: app, GUARDED: guarded}
        self._current: Any = guarded

    def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> Awaitable[None]:
        """Pass a connection on."""
        way = self._ways.get(scope.get("path", ""))
        if way is not None:
            self._current = way
            return _confirm(send)
        return self._current(scope, receive, send)  # type: ignore[no-any-return]


async def _confirm(send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})

"""
Requests that the engine has whole and has not answered a word to yet.

vLLM counts the requests of its core by what the core says. A core that hangs while it
has none says nothing of the next one; the guard sees it come and get no answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Of an answer to /metrics: how many requests wait, and for how many seconds the first.
WAITING_HEADER: Final = "x-vllm-pkg-waiting"
# What the core alone answers. Left out is what may wait for something else, such as
# tools in /v1/responses, and what changes the engine.
CORE_PATHS: Final = frozenset(
    {
        *("/v1/chat/completions", "/v1/completions", "/v1/messages"),
        *("/v1/embeddings", "/v2/embed", "/pooling", "/classify", "/invocations"),
        *("/score", "/v1/score", "/rerank", "/v1/rerank", "/v2/rerank"),
    }
)


class WaitingRequests:
    """
    The waiting requests of one API server process.

    Args:
        now_s: A clock that does not jump.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        # In the order in which they began to wait, so the first is the oldest.
        self._since_s: dict[object, float] = {}

    async def serve(
        self, app: Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """
        Let the application answer a request, and count it for as long as it waits.

        It waits from the end of its body to the first byte of the answer: neither a
        client that sends slowly nor one that reads slowly keeps it waiting.
        """
        mark = object()
        is_answered = False

        async def hear() -> dict[str, Any]:
            message = await receive()
            is_whole = message["type"] == "http.request" and not message.get(
                "more_body", False
            )
            if is_whole and not is_answered:
                self._since_s.setdefault(mark, self._now_s())
            return message

        async def answer(message: dict[str, Any]) -> None:
            nonlocal is_answered
            # A streamed answer starts with its headers, before there is a token.
            if not is_answered and message.get("body"):
                is_answered = True
                self._since_s.pop(mark, None)
            await send(message)

        try:
            await app(scope, hear, answer)
        finally:
            self._since_s.pop(mark, None)

    async def tell(
        self, app: Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the application answer, and add the header that tells who waits."""

        async def answer(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), self._header()]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, answer)

    def _header(self) -> tuple[bytes, bytes]:
        first_s = next(iter(self._since_s.values()), None)
        oldest_s = 0.0 if first_s is None else self._now_s() - first_s
        value = f"{len(self._since_s)} {oldest_s:.3f}"
        return WAITING_HEADER.encode(), value.encode()

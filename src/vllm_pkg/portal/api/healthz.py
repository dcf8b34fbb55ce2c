"""
``/healthz`` for pollers: open, and answered out of the last look, without any reading.

200 means that the API answers; everything else is 503, also that no model is selected.
Where a poller takes 503 for a portal that is down, ``/healthz?always=200`` answers 200
whatever it is, and the body tells.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.health.checker import Result
from vllm_pkg.portal.api.errors import error_answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from vllm_pkg.portal.feed import Look, StateFeed

PATH: Final = "/healthz"
ALWAYS_OK: Final = b"always=200"
# A look takes at most as long as the engine may take to answer, which is 5 s.
STALE_AFTER_S: Final = 20.0
_NO_LOOK: Final = "The portal is starting."
_STALE: Final = "The portal has not been able to look at the service for a while."
_NO_MODEL_MESSAGE: Final = "The state of the service cannot be read."


@dataclass(frozen=True)
class Answer:
    """
    What a poller is told.

    Args:
        status: Result of the health check, in StartOS's words.
        message: What to tell a person.
    """

    status: str
    message: str

    @property
    def is_success(self) -> bool:
        """Whether the API answers."""
        return self.status == Result.SUCCESS


def answer_for(look: Look, age_s: float) -> Answer:
    """
    Return what a poller is told.

    Args:
        look: The last look.
        age_s: How old it is.
    """
    if not look.number:
        return Answer(Result.STARTING, _NO_LOOK)
    if age_s > STALE_AFTER_S:
        return Answer(Result.FAILURE, _STALE)
    if look.state is None:
        message = look.error["message"] if look.error else _NO_MODEL_MESSAGE
        return Answer(Result.FAILURE, str(message))
    health = look.state["health"]
    return Answer(str(health["result"]), str(health["message"]))


class Healthz:
    """
    Answers ``/healthz``, and hands everything else on.

    Args:
        app: The application behind it.
        feed: Where the last look is.
        clock: Tells how old it is.
    """

    def __init__(
        self, app: ASGIApp, feed: StateFeed, clock: Clock | None = None
    ) -> None:
        self._app = app
        self._feed = feed
        self._clock = clock or BootClock()
        # The same answer goes to all pollers until something changes.
        self._told: Answer | None = None
        self._body = b""
        self._headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a poll, or hand a request on."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in {"GET", "HEAD"}:
            refusal = error_answer(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this address does not take that method",
                "ask with GET",
                {"allow": "GET, HEAD"},
            )
            await refusal(scope, receive, send)
            return
        told = self._answer()
        is_ok = told.is_success or scope["query_string"] == ALWAYS_OK
        await send(
            {
                "type": "http.response.start",
                "status": 200 if is_ok else 503,
                "headers": self._headers,
            }
        )
        body = self._body if scope["method"] == "GET" else b""
        await send({"type": "http.response.body", "body": body})

    def _answer(self) -> Answer:
        feed = self._feed
        told = answer_for(feed.latest, self._clock.now_s() - feed.looked_s)
        if told != self._told:
            document = {"status": told.status, "message": told.message}
            self._body = json.dumps(document, ensure_ascii=False).encode()
            self._headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(self._body)).encode()),
                (b"cache-control", b"no-store"),
            ]
            self._told = told
        return told

"""What the guard itself answers, in the one shape of errors. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import ServiceError, UsageError
from vllm_pkg.portal.access.errors import (
    AuthError,
    ContentTypeRefused,
    HostRefused,
    MissingToken,
    OriginRefused,
    RateLimited,
    WrongToken,
)
from vllm_pkg.portal.access.headers import secured
from vllm_pkg.portal.access.rules import API, LOGIN_PATH, Verdict, leads_back

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vllm_pkg.portal.access.asked import Asked

    Send = Callable[[dict[str, Any]], Awaitable[None]]

HTTP_RESPONSE_EXTENSION: Final = "websocket.http.response"
# RFC 6455, 7.4.1: the connection violates a policy.
POLICY_VIOLATED: Final = 1008
_JSON: Final = (b"content-type", b"application/json")
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
_CHALLENGE: Final = (b"www-authenticate", b"Bearer")
# No text: the browser asks at once again, from this page of ours.
_AGAIN: Final = (
    b'<!doctype html><meta http-equiv="refresh" content="0"><title>vLLM</title>\n'
)


@dataclass(frozen=True)
class Answer:
    """
    One answer of the guard.

    Args:
        status: HTTP status.
        headers: Of the answer, without those that every answer gets.
        body: JSON, a page, or nothing.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""

    def with_header(self, name: bytes, value: bytes) -> Answer:
        """Return the same answer with one more header."""
        return replace(self, headers=(*self.headers, (name, value)))


def error_answer(error: ServiceError) -> Answer:
    """Return the answer that tells of an error; it holds nothing that was sent."""
    body = json.dumps(error.as_json()).encode()
    extra = (_CHALLENGE,) if error.http_status == AuthError.http_status else ()
    return Answer(error.http_status, (_JSON, *extra), body)


_MISSING: Final = error_answer(
    MissingToken("this needs a session, or the portal's token as a bearer")
)
_ANSWERS: Final = {
    Verdict.MISSING: _MISSING,
    Verdict.WRONG: error_answer(WrongToken("that is not the token of this portal")),
    Verdict.FOREIGN: error_answer(
        OriginRefused("the browser sends this on behalf of another site")
    ),
    Verdict.NOT_JSON: error_answer(ContentTypeRefused("this has to be sent as JSON")),
    Verdict.NOT_A_FORM: error_answer(
        ContentTypeRefused(
            "this has to be sent as a form",
            hint="send it as application/x-www-form-urlencoded",
        )
    ),
}
WRONG_HOST: Final = error_answer(HostRefused("the portal has no such host"))
MALFORMED: Final = error_answer(
    UsageError("this is no address", hint="send one that begins with a slash")
)
FAILED: Final = error_answer(
    ServiceError("the portal failed", hint="see portal.log, and try again")
)
_TO_LOGIN: Final = Answer(303, ((b"location", LOGIN_PATH.encode()),))
_ONCE_MORE: Final = Answer(401, (_HTML, _CHALLENGE), _AGAIN)


def limited(wait_s: int) -> Answer:
    """Return the answer to who has failed too often."""
    error = RateLimited(
        "too many wrong tokens came from this address",
        hint=f"try again in {wait_s} s",
    )
    return error_answer(error).with_header(b"retry-after", str(wait_s).encode())


def refusal(asked: Asked, verdict: Verdict, wait_s: int) -> Answer:
    """
    Return the answer to what is not let in.

    Args:
        asked: The request.
        verdict: Why.
        wait_s: How long to wait, for who has failed too often.
    """
    if verdict is Verdict.LIMITED:
        return limited(wait_s)
    is_page = asked.is_navigation and not asked.path.startswith(API)
    if verdict is Verdict.MISSING and is_page and not asked.is_websocket:
        return _ONCE_MORE if leads_back(asked) else _TO_LOGIN
    return _ANSWERS[verdict]


async def send_answer(
    scope: dict[str, Any], send: Send, answer: Answer, nonce: str
) -> None:
    """
    Answer a request, or refuse a websocket before it is accepted.

    A server without the extension for it answers a refused websocket with 403.
    """
    prefix = ""
    if scope["type"] == "websocket":
        if HTTP_RESPONSE_EXTENSION not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": POLICY_VIOLATED})
            return
        prefix = "websocket."
    length = (b"content-length", str(len(answer.body)).encode())
    headers = secured(scope["path"], answer.status, (*answer.headers, length), nonce)
    start = {"type": f"{prefix}http.response.start", "status": answer.status}
    await send({**start, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": answer.body})

"""
What the guard answers itself: OpenAI's error shape, and nothing of the request in it.

Pure. Bodies are made once, when the module is imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Send = Callable[[dict[str, Any]], Awaitable[None]]

HTTP_RESPONSE_EXTENSION: Final = "websocket.http.response"
# RFC 6455, 7.4.1: the connection violates a policy.
_CLOSE_CODE: Final = 1008


@dataclass(frozen=True)
class Refusal:
    """
    One answer of the guard.

    Args:
        status: HTTP status.
        headers: Of the answer.
        body: JSON.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def with_headers(self, more: tuple[tuple[bytes, bytes], ...]) -> Refusal:
        """Return the same answer with more headers."""
        return Refusal(self.status, (*self.headers, *more), self.body)


def refuse(
    status: int, code: str, message: str, *extra: tuple[bytes, bytes]
) -> Refusal:
    """
    Build an answer in OpenAI's error shape.

    Args:
        status: HTTP status.
        code: For programs.
        message: For people; must hold nothing that the client sent.
        extra: More headers.
    """
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": code,
    }
    body = json.dumps({"error": error}).encode()
    headers = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *extra,
    )
    return Refusal(status, headers, body)


_CHALLENGE: Final = (b"www-authenticate", b"Bearer")
NO_KEY: Final = refuse(
    401,
    "missing_api_key",
    "This needs one API key, in the header 'Authorization: Bearer <key>'.",
    _CHALLENGE,
)
WRONG_KEY: Final = refuse(
    401,
    "invalid_api_key",
    "The API key is wrong, expired or revoked.",
    _CHALLENGE,
)
NOT_ADMIN: Final = refuse(
    403,
    "admin_key_needed",
    "This changes the engine and needs an administrator's key:"
    " vllm-pkg key add NAME --admin.",
)
UNKNOWN_PATH: Final = refuse(404, "not_found", "There is nothing at this address.")
NOT_SET_UP: Final = refuse(
    503,
    "guard_not_set_up",
    "The guard of this service could not be set up, so nothing is served.",
)


def wrong_method(allowed: frozenset[str]) -> Refusal:
    """Build the answer to a method that the path does not have."""
    allow = ", ".join(sorted(allowed)).encode()
    message = "This address does not take this method."
    return refuse(405, "method_not_allowed", message, (b"allow", allow))


async def send_refusal(scope: dict[str, Any], send: Send, refusal: Refusal) -> None:
    """
    Answer a request, or refuse a websocket before it is accepted.

    A server without the extension for it answers a refused websocket with 403.
    """
    prefix = ""
    if scope["type"] == "websocket":
        if HTTP_RESPONSE_EXTENSION not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _CLOSE_CODE})
            return
        prefix = "websocket."
    await send(
        {
            "type": f"{prefix}http.response.start",
            "status": refusal.status,
            "headers": list(refusal.headers),
        }
    )
    await send({"type": f"{prefix}http.response.body", "body": refusal.body})

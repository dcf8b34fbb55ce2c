"""
What a request may carry: one JSON document, of bounded size and depth.

It is read here as a whole, before anything else looks at it, so that no part of the
application meets a body that is too large, too deep or no JSON at all.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn

from vllm_pkg.portal.api.errors import error_answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_MAX_BYTES: Final = 1024 * 1024
DEPTH_MAX: Final = 32
_HAVE_NONE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON: Final = "application/json"


class BodyRefused(ValueError):
    """A body that is not accepted; the text says why."""


class BodyGuard:
    """
    Reads the body of each request, and refuses what is no small JSON document.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on with its body."""
        if scope["type"] != "http" or scope["method"] in _HAVE_NONE:
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        if body is None:
            answer = error_answer(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "body-too-large",
                f"the body is larger than {BODY_MAX_BYTES} bytes",
                "send less",
                # What is left of it is not read.
                {"connection": "close"},
            )
            await answer(scope, receive, send)
            return
        if body and _content_type(scope) != _JSON:
            answer = error_answer(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "the body is not declared as JSON",
                f"send it with Content-Type: {_JSON}",
            )
            await answer(scope, receive, send)
            return
        try:
            if body:
                check_json(body)
        except BodyRefused as error:
            hint = "send one JSON document as /api/v1/openapi.json describes it"
            answer = error_answer(
                HTTPStatus.BAD_REQUEST, "malformed-body", str(error), hint
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def check_json(body: bytes) -> None:
    """
    Refuse what is no JSON document that can be stored and answered again.

    Raises:
        BodyRefused: it is malformed, nested too deeply, or holds what JSON has not.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
        # Half a surrogate pair has a JSON escape, and is no text.
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise BodyRefused("the body is nested too deeply") from None
    except UnicodeError:
        raise BodyRefused("the body is not Unicode text") from None
    except json.JSONDecodeError as error:
        raise BodyRefused(
            f"the body is not JSON (line {error.lineno}: {error.msg})"
        ) from None
    except BodyRefused:
        raise
    except ValueError:
        # Python's limit on the digits of a number.
        raise BodyRefused("the body holds a number that is too long") from None
    if _depth_exceeds(value, DEPTH_MAX):
        raise BodyRefused(f"the body is nested deeper than {DEPTH_MAX} levels")


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [inner for item in level for inner in _inside(item)]
    return any(isinstance(item, dict | list) for item in level)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _refuse_constant(name: str) -> NoReturn:
    raise BodyRefused(f"{name} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BodyRefused("the body holds a number that is too large")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BodyRefused("a key stands twice in one object")
    return value


def _content_type(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return str(value.decode("latin-1").partition(";")[0].strip().lower())
    return ""


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body; None when it is too large."""
    chunks: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        size_bytes += len(chunks[-1])
        if size_bytes > BODY_MAX_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again

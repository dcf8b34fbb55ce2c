"""Logging in and out, and changing the token that lets in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from fastapi.responses import HTMLResponse, RedirectResponse, Response

from vllm_pkg.errors import StateError
from vllm_pkg.portal.access.asked import read_asked
from vllm_pkg.portal.access.guard import client_address
from vllm_pkg.portal.access.login_page import POLICY, TOKEN_FIELD, login_page
from vllm_pkg.portal.access.rules import LOGIN_PATH, Credential
from vllm_pkg.portal.access.sessions import set_cookie
from vllm_pkg.portal.frame import request_texts

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

    from vllm_pkg.portal.access.gate import Gate

LOGOUT_PATH: Final = "/logout"
RENEW_PATH: Final = "/settings/token"
HOME: Final = "/"
SETTINGS: Final = "/settings"
BODY_SIZE_MAX: Final = 4096
BODY_ARRIVAL_S: Final = 10.0
_SEE_OTHER: Final = 303
_log = logging.getLogger("vllm_pkg.portal")


class Renewal(StrEnum):
    """What came of changing the token, as the page that follows is told."""

    DONE = "changed"
    FAILED = "unchanged"


def register(app: FastAPI, gate: Gate) -> None:
    """
    Add the routes.

    Args:
        app: Where to.
        gate: Who is let in.
    """
    doors = _Doors(gate)
    app.add_route(LOGIN_PATH, doors.show, methods=["GET"], include_in_schema=False)
    app.add_route(LOGIN_PATH, doors.log_in, methods=["POST"], include_in_schema=False)
    app.add_route(LOGOUT_PATH, doors.log_out, methods=["POST"], include_in_schema=False)
    app.add_route(RENEW_PATH, doors.renew, methods=["POST"], include_in_schema=False)


class _Doors:
    """The handlers of the two addresses."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def show(self, request: Request) -> Response:
        """Log in whoever came by the link, or show the page."""
        given = _field(request.scope["query_string"])
        if given is not None:
            return self._try(request, given)
        if self._gate.find_session(read_asked(request.scope)) is not None:
            return RedirectResponse(HOME, _SEE_OTHER)
        return _page(request)

    async def log_in(self, request: Request) -> Response:
        """Log in whoever has typed the token."""
        body = b""
        # A form that does not come is one without a token.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BODY_ARRIVAL_S):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > BODY_SIZE_MAX:
                        break
        return self._try(request, _field(body[:BODY_SIZE_MAX]) or "")

    async def log_out(self, request: Request) -> Response:
        """End the session of this browser."""
        session = self._gate.find_session(read_asked(request.scope))
        if session is not None:
            self._gate.end_session(session)
        response = RedirectResponse(LOGIN_PATH, _SEE_OTHER)
        self._set_cookie(request, response, "")
        return response

    async def renew(self, request: Request) -> Response:
        """Change the token: every session ends, and this browser is given a new one."""
        try:
            cookie = await asyncio.to_thread(self._gate.renew_token)
        except StateError as error:
            _log.warning("%s; the portal's token stays what it was", error.message)
            return RedirectResponse(_settings(Renewal.FAILED), _SEE_OTHER)
        response = RedirectResponse(_settings(Renewal.DONE), _SEE_OTHER)
        self._set_cookie(request, response, cookie)
        return response

    def _try(self, request: Request, given: str) -> Response:
        address = client_address(request.scope)
        found = self._gate.try_token(given.strip(), address)
        if found is Credential.LIMITED:
            wait_s = self._gate.wait_s(address)
            page = _page(request, "access.limited", status=429, count=wait_s)
            page.headers["retry-after"] = str(wait_s)
            return page
        if found is not Credential.TOKEN:
            return _page(request, "access.wrong", status=401)
        response = RedirectResponse(HOME, _SEE_OTHER)
        # The link must not be told to the page that follows.
        response.headers["referrer-policy"] = "no-referrer"
        self._set_cookie(request, response, self._gate.open_session())
        return response

    def _set_cookie(self, request: Request, response: Response, value: str) -> None:
        is_secure = request.scope.get("scheme") == "https"
        header = set_cookie(self._gate.cookie_name, value, is_secure=is_secure)
        response.raw_headers.append((b"set-cookie", header))


def _settings(renewal: Renewal) -> str:
    return f"{SETTINGS}?token={renewal}"


def _field(data: bytes) -> str | None:
    """Return the token in a form; one that is in it twice is none of ours."""
    try:
        fields = parse_qs(data.decode("latin-1"), True, max_num_fields=16)  # noqa: FBT003
    except ValueError:
        return ""
    values = fields.get(TOKEN_FIELD)
    if values is None:
        return None
    return values[0] if len(values) == 1 else ""


def _page(
    request: Request, problem: str | None = None, *, status: int = 200, count: int = 0
) -> HTMLResponse:
    texts = request_texts(request)
    text = texts(problem, count=count) if problem else None
    policy = {"content-security-policy": POLICY}
    return HTMLResponse(login_page(texts, text), status, policy)

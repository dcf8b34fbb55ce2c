"""
The ASGI middleware: ``vllm serve --middleware vllm_pkg.engine.guard.middleware.Guard``.

Standard library only, and cheap to import: it runs in every API server process of the
engine, under the engine's own Python.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.guard import CORS_ENV, ENGINE_KEY_ENV, refusals, usage
from vllm_pkg.engine.guard.cors import read_policy
from vllm_pkg.engine.guard.key_ring import PRIMARY_ID, KeyRing
from vllm_pkg.engine.guard.routes import WEBSOCKET, Access, find_ruling
from vllm_pkg.engine.guard.tokens import bearer_header, read_token, with_engine_key
from vllm_pkg.engine.guard.waiting import CORE_PATHS, WaitingRequests
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.errors import EngineStartFailed, ServiceError, StateError
from vllm_pkg.settings import load_settings
from vllm_pkg.state.credentials import is_usable_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from vllm_pkg.engine.guard.key_ring import AcceptedKey
    from vllm_pkg.engine.guard.refusals import Refusal
    from vllm_pkg.engine.guard.routes import Ruling
    from vllm_pkg.settings import Settings

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

FLUSH_INTERVAL_S: Final = 5.0
METRICS: Final = "/metrics"
_PREFLIGHT: Final = frozenset({b"origin", b"access-control-request-method"})
_log = logging.getLogger("vllm_pkg.guard")


class Guard:
    """
    Lets a request pass to vLLM with an accepted key, and refuses everything else.

    What keeps it from being set up does not end up as an open port: it refuses all
    requests, and fails the start of the server. (An error raised here would do neither:
    uvicorn takes one at this point for an application without a lifespan.)

    Args:
        app: The application inside.
        environ: Where the paths and the engine's own key are; None: the process's own.
    """

    def __init__(
        self, app: Application, environ: Mapping[str, str] | None = None
    ) -> None:
        self._app = app
        self._failure: str | None = None
        try:
            self._set_up(os.environ if environ is None else environ)
        except ServiceError as error:
            self._failure = f"{error.message}; {error.hint}"
        except Exception:  # noqa: BLE001  # nothing may leave it open
            # Whatever it is, it must not be taken for a missing lifespan.
            _log.exception("the guard of the API could not be set up")
            self._failure = "the guard of the API could not be set up"

    def _set_up(self, environ: Mapping[str, str]) -> None:
        settings = load_settings(environ)
        key = environ.get(ENGINE_KEY_ENV, "")
        if not is_usable_key(key):
            raise EngineStartFailed(
                f"the guard of the API was not told a key ({ENGINE_KEY_ENV})",
                hint="start the engine through vllm-pkg",
            )
        self._presented = bearer_header(key)
        self._cors = read_policy(environ.get(CORS_ENV, ""))
        self._ring = KeyRing(settings.credentials_file, settings.secrets_file)
        self._usage = usage.UsageCounter(settings.key_usage_dir, own_identity())
        self._waiting = WaitingRequests()
        self._is_flush_due = False
        self._flushing: asyncio.Future[None] | None = None
        _fold_ended(settings, self._ring.primary_id)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one connection, or let the application inside do it."""
        kind = scope["type"]
        if kind == "http":
            method = scope["method"]
        elif kind == "websocket":
            method = WEBSOCKET
        else:
            return self._lifespan(scope, receive, send)
        if self._failure is not None:
            return refusals.send_refusal(scope, send, refusals.NOT_SET_UP)
        # With a root path Starlette would route another path than the one judged here.
        ruling = None if scope.get("root_path") else find_ruling(scope["path"])
        if ruling is not None and self._is_open(scope, method, ruling):
            return self._app(scope, receive, send)
        return self._ask_for_key(scope, receive, send, method, ruling)

    def _is_open(self, scope: Scope, method: str, ruling: Ruling) -> bool:
        if method in ruling.methods:
            return ruling.access is Access.OPEN
        # vLLM's CORS middleware answers a preflight; it never reaches a route.
        return (
            self._cors is not None
            and method == "OPTIONS"
            and ruling.access is not Access.ADMIN
            and {name for name, _ in scope["headers"]} >= _PREFLIGHT
        )

    def _ask_for_key(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        method: str,
        ruling: Ruling | None,
    ) -> Awaitable[None]:
        headers = scope["headers"]
        token = read_token(headers, scope["path"])
        if token is None:
            return self._refuse(scope, send, refusals.NO_KEY)
        now_s = time.time()
        key = self._ring.find(token, now_s)
        if key is None:
            return self._refuse(scope, send, refusals.WRONG_KEY)
        refusal = _judge(key, ruling, method)
        if refusal is not None:
            return self._refuse(scope, send, refusal)
        inner = {**scope, "headers": with_engine_key(headers, self._presented)}
        path = scope["path"]
        if path == METRICS:
            # Monitoring is no use of a key: ours reads the metrics every few seconds.
            return self._waiting.tell(self._app, inner, receive, send)
        self._usage.count(key.id, now_s)
        if not self._is_flush_due:
            self._schedule_flush()
        if path in CORE_PATHS:
            return self._waiting.serve(self._app, inner, receive, send)
        return self._app(inner, receive, send)

    def _refuse(self, scope: Scope, send: Send, refusal: Refusal) -> Awaitable[None]:
        # A page may read why, where it may read what vLLM answers.
        if self._cors is not None and scope["type"] == "http":
            refusal = refusal.with_headers(self._cors.headers(scope["headers"]))
        return refusals.send_refusal(scope, send, refusal)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._failure is not None:
            await receive()
            _log.error("%s", self._failure)
            await send({"type": "lifespan.startup.failed", "message": self._failure})
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._write_usage()

    def _schedule_flush(self) -> None:
        self._is_flush_due = True
        asyncio.get_running_loop().call_later(FLUSH_INTERVAL_S, self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        # Syncing a file takes milliseconds, in which no token would be sent.
        self._flushing = asyncio.get_running_loop().run_in_executor(
            None, _write, self._usage.snapshot()
        )

    def _write_usage(self) -> None:
        if self._usage.is_dirty:
            _write(self._usage.snapshot())


def _judge(key: AcceptedKey, ruling: Ruling | None, method: str) -> Refusal | None:
    if ruling is None:
        return refusals.UNKNOWN_PATH
    if ruling.access is Access.ADMIN and not key.is_admin:
        return refusals.NOT_ADMIN
    if method in ruling.methods:
        return None
    if WEBSOCKET in {method, *ruling.methods}:
        return refusals.UNKNOWN_PATH
    return refusals.wrong_method(ruling.methods)


def _fold_ended(settings: Settings, primary_id: str) -> None:
    folder = settings.key_usage_dir
    if not folder.is_dir():
        return
    # Older versions counted every primary key under one id.
    renamed = {PRIMARY_ID: primary_id}
    try:
        boot_id = BootClock().boot_id()
        usage.fold_ended(folder, settings.lock_file, boot_id, renamed)
    except StateError as error:
        _log.warning("counts of requests were not added up: %s", error.message)


def _write(write: Callable[[], None]) -> None:
    try:
        write()
    except StateError as error:
        # Counts are lost, requests are not.
        _log.warning("counts of requests were not written: %s", error.message)

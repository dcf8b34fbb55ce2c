"""
The guard: the outermost ASGI middleware, around every route of the portal.

It decides nothing itself: `own_names` says which hosts are ours, `gate` who somebody
is, `rules` what that allows, and `headers` what protects an answer.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.access import answers, nonces
from vllm_pkg.portal.access.asked import read_asked
from vllm_pkg.portal.access.headers import secured
from vllm_pkg.portal.access.own_names import own_host, own_names, proxy_names
from vllm_pkg.portal.access.rules import Credential, Verdict, is_public, judge
from vllm_pkg.portal.access.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from vllm_pkg.portal.access.gate import Gate, Shown

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# NiceGUI would write it into its pages: a proxy that offers a part of its own address
# only is nothing that the portal knows.
_DROPPED: Final = frozenset({b"x-forwarded-prefix"})
_log = logging.getLogger("vllm_pkg.portal")


class Guard:
    """
    Lets in who shows a session or the token, and answers everybody else itself.

    Args:
        app: The application inside.
        gate: Who is let in.
    """

    def __init__(self, app: Application, gate: Gate) -> None:
        self.app = app
        self._gate = gate
        self._proxies = proxy_names(gate.settings.portal_allowed_hosts)
        self._known: dict[str, frozenset[str]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, or let the application inside do it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] in {"http", "websocket"}:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        nonce = nonces.begin()
        asked = read_asked(scope)
        host = own_host(asked.values("host"), self._names(scope))
        if host is None:
            await answers.send_answer(scope, send, answers.WRONG_HOST, nonce)
            return
        # With a root path another path than the one judged here would be routed.
        if not asked.path.startswith("/") or scope.get("root_path"):
            await answers.send_answer(scope, send, answers.MALFORMED, nonce)
            return
        shown = (
            None if is_public(asked) else self._gate.look(asked, client_address(scope))
        )
        credential = Credential.NONE if shown is None else shown.credential
        verdict = judge(asked, host, credential)
        if verdict is Verdict.PASS:
            await self._serve(scope, receive, send, shown, nonce)
        else:
            wait_s = self._gate.wait_s(client_address(scope))
            answer = answers.refusal(asked, verdict, wait_s)
            await answers.send_answer(scope, send, answer, nonce)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        shown: Shown | None,
        nonce: str,
    ) -> None:
        is_begun = False

        async def secure(message: dict[str, Any]) -> None:
            nonlocal is_begun
            if message["type"].endswith("http.response.start"):
                given = message.get("headers", ())
                headers = secured(scope["path"], message["status"], given, nonce)
                message = {**message, "headers": headers}
            is_begun = True
            await send(message)

        watched = Watched(shown, receive, secure)
        kept = [pair for pair in scope["headers"] if pair[0] not in _DROPPED]
        try:
            await self.app({**scope, "headers": kept}, watched.receive, watched.send)
        except Exception:
            # NiceGUI's middleware fails when nobody is left to be answered.
            if not watched.is_over and not watched.is_left:
                _log.exception("a request to the portal failed")
                if is_begun:
                    raise
                await answers.send_answer(scope, send, answers.FAILED, nonce)
        if watched.is_over:
            await watched.close()

    def _names(self, scope: Scope) -> frozenset[str]:
        # Where it listens on every address, the one that a connection came to is ours.
        server = scope.get("server")
        address = server[0] if server and _is_bound_to_all(self._gate) else ""
        if address not in self._known:
            settings = self._gate.settings
            addresses = (settings.portal_host, *([address] if address else []))
            names = own_names(addresses, settings.portal_port)
            self._known[address] = names | self._proxies
        return self._known[address]


def _is_bound_to_all(gate: Gate) -> bool:
    return gate.settings.portal_host in {"0.0.0.0", "::"}  # noqa: S104  # compared


def client_address(scope: MutableMapping[str, Any]) -> str | None:
    """Return where a connection comes from, as the server tells."""
    client = scope.get("client")
    return str(client[0]) if client else None

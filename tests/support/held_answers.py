"""Holding back what the portal sends to a page, as a slow network would."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

_LOOK_MS = 50
_MESSAGE = "4"
TIMEOUT_S = 30.0


class HeldAnswers:
    """
    Stands between a page and the portal; what the page sends always passes.

    Args:
        page: A page that has been opened; it is loaded anew.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._held: list[str | bytes] = []
        self._is_holding = False
        self._route: WebSocketRoute | None = None
        page.route_web_socket(re.compile("/_nicegui_ws/"), self._connect)
        page.reload()
        page.wait_for_function("window.did_handshake === true")

    def hold(self) -> None:
        """Keep everything back from now on."""
        self._is_holding = True

    def wait_for(self, sign: str) -> None:
        """Wait until an answer with *sign* in it is held."""
        wait_until(lambda: self._has(sign), TIMEOUT_S, f"an answer with {sign}")

    def take(self, sign: str) -> list[str | bytes]:
        """
        Return what is held, to be sent later; what comes after it is held anew.

        Args:
            sign: Stands in an answer that must be among it.
        """
        self.wait_for(sign)
        taken, self._held = self._held, []
        return taken

    def send(self, taken: list[str | bytes]) -> None:
        """Let through what was taken, and nothing else."""
        assert self._route is not None
        for message in taken:
            self._route.send(message)

    def release(self, sign: str) -> None:
        """
        Let through what was held, and everything after it.

        Args:
            sign: Stands in an answer that must have come before.
        """
        taken = self.take(sign)
        self._is_holding = False
        self.send(taken)

    def _has(self, sign: str) -> bool:
        # Messages are taken in while Playwright is waited for.
        self._page.wait_for_timeout(_LOOK_MS)
        return any(sign in str(message) for message in self._held)

    def _connect(self, route: WebSocketRoute) -> None:
        self._route = route
        portal = route.connect_to_server()
        portal.on_message(self._take)

    def _take(self, message: str | bytes) -> None:
        # Engine.IO's own packets pass: the connection is slow, and not gone.
        if self._is_holding and str(message).startswith(_MESSAGE):
            self._held.append(message)
        elif self._route is not None:
            self._route.send(message)

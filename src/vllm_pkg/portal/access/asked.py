"""What the guard looks at of a request, taken out of an ASGI scope. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

_SCHEMES: Final = {"ws": "http", "wss": "https"}
# More than one of ours comes only from somebody who tries something.
_COOKIES_MAX: Final = 4
_BEARER: Final = "bearer"


@dataclass(frozen=True)
class Asked:
    """
    One request, or one handshake of a websocket.

    Args:
        is_websocket: Whether it is a handshake.
        method: Of the request; GET for a handshake.
        path: Decoded, as the application will route it.
        scheme: http or https.
        headers: Every value by its name in lower case, as text of Latin-1.
    """

    is_websocket: bool
    method: str
    path: str
    scheme: str
    headers: Mapping[str, tuple[str, ...]]

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of a header."""
        return self.headers.get(name, ())

    def only(self, name: str) -> str | None:
        """Return the value of a header that may come once; twice is as bad as wrong."""
        given = self.values(name)
        if not given:
            return None
        # Never equal to what is looked for.
        return given[0].strip() if len(given) == 1 else "\0"

    @property
    def has_cookies(self) -> bool:
        """Whether there is any cookie."""
        return "cookie" in self.headers

    @property
    def bearers(self) -> tuple[str, ...]:
        """What was presented as a token: the schemes of proxies are not ours."""
        found = []
        for value in self.values("authorization"):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == _BEARER:
                found.append(token.strip(" "))
        return tuple(found)

    @property
    def is_navigation(self) -> bool:
        """Whether a person's browser asks for a page to show."""
        mode = self.only("sec-fetch-mode")
        if mode is not None:
            return mode == "navigate"
        accepted = ",".join(self.values("accept")).lower()
        return "text/html" in accepted

    def cookies(self, name: str) -> tuple[str, ...]:
        """Return the values of a cookie."""
        found = []
        for header in self.values("cookie"):
            for part in header.split(";"):
                given, _, value = part.strip().partition("=")
                if given == name:
                    found.append(value)
        return tuple(found[:_COOKIES_MAX])


def read_asked(scope: MutableMapping[str, Any]) -> Asked:
    """Return what a scope of ASGI asks for."""
    headers: dict[str, tuple[str, ...]] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        headers[name] = (*headers.get(name, ()), raw_value.decode("latin-1"))
    scheme = scope.get("scheme", "http")
    return Asked(
        is_websocket=scope["type"] == "websocket",
        method=scope.get("method", "GET"),
        path=scope["path"],
        scheme=_SCHEMES.get(scheme, scheme),
        headers=headers,
    )

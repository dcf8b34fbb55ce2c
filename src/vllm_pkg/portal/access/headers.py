"""
The headers that every answer gets. Pure.

What the pages need and why stands in docs/portal-access.md; tests/browser find out
with a real browser that they need no less, and that what is refused is refused.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Header = tuple[bytes, bytes]

# Files of NiceGUI, whose address has its version, and our own, whose address has what
# they hold; these may be kept.
_STATIC: Final = ("/_nicegui/", "/portal-static/")
_DYNAMIC: Final = "/dynamic_resources/"
_NOTHING: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
# NiceGUI's event handlers are text that is evaluated, and Vue compiles its templates in
# the browser; inline scripts need the nonce of their page. NiceGUI makes style
# elements in the browser.
_PAGE: Final = (
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; "
    "script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'"
)
_DENIED_FEATURES: Final = (
    *("accelerometer", "autoplay", "browsing-topics", "camera", "display-capture"),
    *("encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid"),
    *("idle-detection", "local-fonts", "magnetometer", "microphone", "midi"),
    *("payment", "picture-in-picture", "publickey-credentials-get", "screen-wake-lock"),
    *("serial", "usb", "xr-spatial-tracking"),
)
_POLICY: Final = ", ".join(
    (*(f"{name}=()" for name in _DENIED_FEATURES), "clipboard-write=(self)")
)
_ALWAYS: Final[dict[bytes, bytes]] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"permissions-policy": _POLICY.encode(),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
# The own host is told, so that the Origin of a form is; others learn nothing.
_REFERRER: Final[dict[bytes, bytes]] = {b"referrer-policy": b"same-origin"}
# No other site is allowed anything; the library of the websockets would allow whoever
# asks with the token.
_CROSS_SITE: Final = b"access-control-"
_NO_STORE: Final[dict[bytes, bytes]] = {b"cache-control": b"no-store"}
_CSP: Final = b"content-security-policy"
_ANSWERED: Final = frozenset({200, 206, 304})


def secured(
    path: str, status: int, headers: Iterable[Header], nonce: str
) -> list[Header]:
    """
    Return the headers of an answer, with those that protect it.

    Args:
        path: What was asked for.
        status: Of the answer.
        headers: Of the answer as the application gives it: its own policies about what
            a page may load, and what it tells to others, stay.
        nonce: Of this answer; never used twice.
    """
    given = [
        (name.lower(), value)
        for name, value in headers
        if not name.lower().startswith(_CROSS_SITE)
    ]
    policy = {_CSP: _content_policy(given, nonce).encode()}
    own = dict(pair for pair in given if pair[0] in {*policy, *_REFERRER})
    added = {**_ALWAYS, **_REFERRER, **policy, **own}
    if not _may_be_kept(path, status):
        added |= _NO_STORE
    return [pair for pair in given if pair[0] not in added] + [*added.items()]


def styled_policy(style: str) -> str:
    """Return the policy of a page without scripts, which has one style sheet in it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"{_NOTHING}; style-src 'sha256-{digest}'; img-src data:; form-action 'self'"


def _content_policy(headers: Sequence[Header], nonce: str) -> str:
    types = [value for name, value in headers if name == b"content-type"]
    if any(b"html" in value.lower() for value in types):
        return _PAGE.format(nonce=nonce)
    return _NOTHING


def _may_be_kept(path: str, status: int) -> bool:
    return status in _ANSWERED and path.startswith(_STATIC) and _DYNAMIC not in path

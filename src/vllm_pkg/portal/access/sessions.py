"""
Sessions: what the cookie of a person who has logged in holds.

The cookie is not the token. It is signed with a key that is derived from the token, so
it goes on after a restart of the portal, and ends when the token is changed.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer

LIFETIME_S: Final = 30 * 24 * 3600
_PURPOSE: Final = b"vllm-pkg portal session 1"
# Longer than any that is ours.
_SIZE_MAX: Final = 256
_ID_BYTES: Final = 16


@dataclass(frozen=True)
class Session:
    """
    One session.

    Args:
        id: Tells it from others.
        ends_s: When it ends, in seconds since 1970.
    """

    id: str
    ends_s: float


class Sessions:
    """
    The sessions that one token of the portal gives.

    Args:
        token: Of the portal.
    """

    def __init__(self, token: str) -> None:
        key = hmac.digest(token.encode(), _PURPOSE, "sha256")
        self._serializer = URLSafeTimedSerializer(
            key, signer_kwargs={"digest_method": "sha256", "key_derivation": "hmac"}
        )
        self._ended: dict[str, float] = {}

    def open(self) -> str:
        """Return the cookie of a new session."""
        return str(self._serializer.dumps(secrets.token_hex(_ID_BYTES)))

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, unless it is none, or has ended."""
        if len(cookie) > _SIZE_MAX:
            return None
        try:
            name, began = self._serializer.loads(
                cookie, max_age=LIFETIME_S, return_timestamp=True
            )
        except BadData:
            return None
        session = Session(str(name), began.timestamp() + LIFETIME_S)
        return session if self.is_going_on(session) else None

    def is_going_on(self, session: Session) -> bool:
        """Whether it has neither ended by itself nor been ended."""
        return session.id not in self._ended and time.time() < session.ends_s

    def end(self, session: Session) -> None:
        """End a session before its time, for whoever has its cookie."""
        now_s = time.time()
        kept = {name: end for name, end in self._ended.items() if end > now_s}
        self._ended = {**kept, session.id: session.ends_s}


def cookie_name(port: int) -> str:
    """
    Return the name of the cookie of a portal.

    Cookies know no ports: two portals of one machine would put each other's out.
    """
    return f"vllm-pkg-session-{port}"


def set_cookie(name: str, value: str, *, is_secure: bool) -> bytes:
    """
    Return the value of the header Set-Cookie.

    Args:
        name: From `cookie_name`.
        value: Of the cookie; empty: it is removed.
        is_secure: Whether the browser came over TLS.
    """
    lifetime_s = LIFETIME_S if value else 0
    secure = "; Secure" if is_secure else ""
    kept = f"Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Strict{secure}"
    return f"{name}={value}; {kept}".encode()

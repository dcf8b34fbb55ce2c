"""
Sessions: what the cookie of a person who has logged in holds.

The cookie is not the token. It is signed with a key that is derived from the token, so
it goes on after a restart of the portal, and ends when the token is changed.

For as long as the machine is not booted again, the clock that does not jump counts the
thirty days. Across a boot there is the wall clock only: set back it must not lengthen a
session that has been seen, set forward it ends one at most.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from itsdangerous import BadData, URLSafeSerializer

from vllm_pkg.clock import BootClock, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME_S: Final = 30 * 24 * 3600
_PURPOSE: Final = b"vllm-pkg portal session 2"
# Longer than any that is ours.
_SIZE_MAX: Final = 256
_ID_BYTES: Final = 16
_BOOT_BYTES: Final = 8


@dataclass(frozen=True)
class Session:
    """
    One session.

    Args:
        id: Tells it from others.
        ends_s: When it ends, in seconds since the machine booted.
    """

    id: str
    ends_s: float


class Sessions:
    """
    The sessions that one token of the portal gives.

    Args:
        token: Of the portal.
        clock: Boot time: how long sessions of this boot go on.
        wall_s: Seconds since 1970, for sessions of an earlier boot.
    """

    def __init__(
        self,
        token: str,
        clock: Clock | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        key = hmac.digest(token.encode(), _PURPOSE, "sha256")
        self._serializer = URLSafeSerializer(
            key, signer_kwargs={"digest_method": "sha256", "key_derivation": "hmac"}
        )
        self._clock = clock or BootClock()
        self._wall_s = wall_s
        boot_id = self._clock.boot_id()
        # The kernel's own id is nobody else's business; without one no boot is known.
        self._boot = (
            hmac.digest(key, boot_id.encode(), "sha256")[:_BOOT_BYTES].hex()
            if boot_id
            else ""
        )
        # Ends of sessions of earlier boots: the earliest that the wall clock has told.
        self._told_ends_s: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def open(self) -> str:
        """Return the cookie of a new session."""
        name = secrets.token_hex(_ID_BYTES)
        began = [int(self._wall_s()), self._boot, int(self._clock.now_s())]
        return str(self._serializer.dumps([name, *began]))

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, unless it is none, or has ended."""
        if len(cookie) > _SIZE_MAX:
            return None
        try:
            name, wall_s, boot, boot_s = self._serializer.loads(cookie)
        except BadData:
            return None
        if boot and boot == self._boot:
            session = Session(name, boot_s + LIFETIME_S)
        else:
            session = Session(name, self._told_end_s(name, wall_s))
        return session if self.is_going_on(session) else None

    def is_going_on(self, session: Session) -> bool:
        """Whether it has neither ended by itself nor been ended."""
        is_ended = session.id in self._ended
        return not is_ended and self._clock.now_s() < session.ends_s

    def end(self, session: Session) -> None:
        """End a session before its time, for whoever has its cookie."""
        now_s = self._clock.now_s()
        kept = {name: end for name, end in self._ended.items() if end > now_s}
        self._ended = {**kept, session.id: session.ends_s}

    def _told_end_s(self, name: str, began_s: float) -> float:
        """Return when a session of an earlier boot ends; it only ever comes nearer."""
        age_s = self._wall_s() - began_s
        if age_s < 0:
            # A clock that stands before the beginning is wrong, and tells nothing.
            return 0.0
        told_s = self._clock.now_s() + LIFETIME_S - age_s
        end_s = min(told_s, self._told_ends_s.get(name, told_s))
        self._told_ends_s[name] = end_s
        return end_s


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

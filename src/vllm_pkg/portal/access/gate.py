"""Who is let in: the token that is in force, its sessions, and failed attempts."""

from __future__ import annotations

import hmac
import logging
import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.errors import StateError
from vllm_pkg.portal.access.attempts import FailedAttempts, source_of
from vllm_pkg.portal.access.rules import Credential
from vllm_pkg.portal.access.sessions import Session, Sessions, cookie_name
from vllm_pkg.state.portal_token import rotate_portal_token
from vllm_pkg.state.secrets import observe_secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vllm_pkg.portal.access.asked import Asked
    from vllm_pkg.settings import Settings

CHECK_INTERVAL_S: Final = 0.1
# Of a file that could not be used: equal to none, so that it is tried again.
_UNUSED: Final = ()
_log = logging.getLogger("vllm_pkg.portal")


@dataclass(frozen=True)
class _Opening:
    """What one token opens; without a token it opens nothing."""

    digest: bytes = b""
    sessions: Sessions | None = None


@dataclass(frozen=True)
class Shown:
    """
    What a request shows.

    Args:
        credential: The kind.
        is_in_force: Whether it still counts; asked again while a stream goes on.
        session: The session, if it is one.
    """

    credential: Credential
    is_in_force: Callable[[], bool]
    session: Session | None = None


@dataclass
class Gate:
    """
    The gate of one portal.

    A token that is changed counts within a tenth of a second; a file that is damaged
    leaves the token in force that was read last, and without a file none is.

    Args:
        settings: Whose portal it is.
        clock: Decides when to look at the file again, and how long failures and
            sessions count.
    """

    settings: Settings
    clock: Clock = field(default_factory=BootClock)
    attempts: FailedAttempts = field(init=False)
    _opening: _Opening = field(init=False, default=_Opening())
    _seen: object = field(init=False, default=_UNUSED)
    _due_s: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        """Begin without failures."""
        self.attempts = FailedAttempts(self.clock)

    @property
    def cookie_name(self) -> str:
        """The name of the cookie of its sessions."""
        return cookie_name(self.settings.portal_port)

    def look(self, asked: Asked, address: str | None) -> Shown:
        """
        Return what a request shows.

        A session counts whatever is shown beside it, so nobody is locked out by the
        failures of another at the same address.

        Args:
            asked: The request.
            address: Where it comes from, if that is known.
        """
        opening = self._current()
        session = self.find_session(asked)
        if session is not None and (sessions := opening.sessions) is not None:
            return Shown(
                Credential.SESSION,
                lambda: self._current() is opening and sessions.is_going_on(session),
                session,
            )
        tokens = asked.bearers
        if not tokens:
            return Shown(Credential.NONE, lambda: False)
        given = tokens[0] if len(tokens) == 1 else ""
        found = self.try_token(given, address)
        return Shown(found, lambda: self._current() is opening)

    def find_session(self, asked: Asked) -> Session | None:
        """Return the session of a request's cookie, if it has one that counts."""
        sessions = self._current().sessions
        if sessions is None:
            return None
        found = map(sessions.find, asked.cookies(self.cookie_name))
        return next((session for session in found if session is not None), None)

    def try_token(self, given: str, address: str | None) -> Credential:
        """
        Compare a token that somebody presents, and count it when it is wrong.

        Args:
            given: Any text; one that is not ASCII is just a wrong one.
            address: Where it comes from, if that is known.
        """
        source = source_of(address)
        if self.attempts.wait_s(source):
            return Credential.LIMITED
        if self.is_token(given.encode()):
            return Credential.TOKEN
        self.attempts.note(source)
        return Credential.WRONG

    def is_token(self, given: bytes) -> bool:
        """Whether this is the token; how long that takes does not tell how near."""
        return hmac.compare_digest(sha256(given).digest(), self._current().digest)

    def wait_s(self, address: str | None) -> int:
        """Return for how many seconds nothing of an address is looked at."""
        return self.attempts.wait_s(source_of(address))

    def open_session(self) -> str:
        """Return the cookie of a new session; empty when no token is in force."""
        sessions = self._current().sessions
        return "" if sessions is None else sessions.open()

    def renew_token(self) -> str:
        """
        Make a new token, which ends every session, and open one under it.

        Returns:
            The cookie of the new session.
        Raises:
            StateError: secrets.json is damaged, or cannot be read or written.
        """
        rotate_portal_token(self.settings)
        self._due_s = float("-inf")
        return self.open_session()

    def end_session(self, session: Session) -> None:
        """End a session before its time."""
        if (sessions := self._current().sessions) is not None:
            sessions.end(session)

    def _current(self) -> _Opening:
        now_s = self.clock.now_s()
        if now_s >= self._due_s:
            self._due_s = now_s + CHECK_INTERVAL_S
            seen = self._signature()
            if seen != self._seen:
                self._seen = seen
                self._read()
        return self._opening

    def _read(self) -> None:
        try:
            token = observe_secrets(self.settings).portal_token
        except StateError as error:
            self._seen = _UNUSED
            _log.warning("%s; the portal's token stays what it was", error.message)
            return
        digest = sha256(token.encode()).digest() if token else b""
        # Another key in the same file has changed: sessions that were ended stay so.
        if not hmac.compare_digest(digest, self._opening.digest):
            sessions = Sessions(token, self.clock) if token else None
            self._opening = _Opening(digest, sessions)

    def _signature(self) -> Any:
        try:
            status = os.stat(self.settings.secrets_file)  # noqa: PTH116  # runs often
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

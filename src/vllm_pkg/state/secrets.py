"""
secrets.json: what must not be published: additional API keys, and two tokens.

Shape: ``{"keys": [{"id", "name", "role", "hash", "created", "expires", "revoked"}],
"huggingFaceToken": str, "portalToken": str}``; of keys only hashes, times in ISO 8601
with an offset or null. Fields that this version does not know survive a rewrite, in the
document and in each key. Standard library only: the engine's own process reads this
file.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.state import atomic, documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.settings import Settings

KEYS: Final = "keys"
HUB_TOKEN: Final = "huggingFaceToken"  # noqa: S105  # a name
# What an HTTP header takes, and an environment variable.
HUB_TOKEN_REGEX: Final = "^[!-~]{1,500}$"  # noqa: S105  # a rule
PORTAL_TOKEN: Final = "portalToken"  # noqa: S105  # a name
# What a link takes without an escape, and what nobody guesses.
PORTAL_TOKEN_REGEX: Final = "^[A-Za-z0-9_-]{32,256}$"  # noqa: S105  # a rule
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Role(StrEnum):
    """What a key may do."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True)
class NamedKey:
    """
    One additional key; the key itself is written down nowhere.

    Args:
        id: Names it for ever.
        name: For people; unique among the keys that are active.
        role: What it may do.
        hash: SHA-256 of the key, in hexadecimal figures.
        created: When it was made.
        expires: From when on it is refused; None: never.
        revoked: When it was revoked; None: it was not.
        document: The whole entry as read, with the fields not known here.
    """

    id: str
    name: str
    role: Role
    hash: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    document: dict[str, Any] = field(default_factory=dict)

    def is_active(self, now: datetime) -> bool:
        """Whether the key is accepted at that time."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def revoke(self, now: datetime) -> NamedKey:
        """Return the key, revoked."""
        return replace(self, revoked=now)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, unknown fields included."""
        return self.document | {
            "id": self.id,
            "name": self.name,
            "role": str(self.role),
            "hash": self.hash,
            "created": _text(self.created),
            "expires": _text(self.expires),
            "revoked": _text(self.revoked),
        }


@dataclass(frozen=True)
class Secrets:
    """
    The content of secrets.json.

    Args:
        keys: The additional keys, those that have ended included; oldest first.
        document: The whole document as read, with the fields not known here.
        hugging_face_token: What models are fetched with; empty: there is none.
        portal_token: What the portal lets in; empty: there is none yet.
    """

    keys: tuple[NamedKey, ...] = ()
    # None of these is part of the text of this value, which may end up in a traceback.
    document: dict[str, Any] = field(default_factory=dict, repr=False)
    hugging_face_token: str = field(default="", repr=False)
    portal_token: str = field(default="", repr=False)

    def with_keys(self, keys: tuple[NamedKey, ...]) -> Secrets:
        """Return the secrets with other keys."""
        return replace(self, keys=keys)

    def with_hugging_face_token(self, token: str) -> Secrets:
        """Return the secrets with another Hugging Face token; empty: with none."""
        return replace(self, hugging_face_token=token)

    def with_portal_token(self, token: str) -> Secrets:
        """Return the secrets with another token of the portal."""
        return replace(self, portal_token=token)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, unknown fields included."""
        tokens = {HUB_TOKEN: self.hugging_face_token, PORTAL_TOKEN: self.portal_token}
        document = {k: v for k, v in self.document.items() if k not in tokens}
        document |= {name: token for name, token in tokens.items() if token}
        return document | {KEYS: [key.as_json() for key in self.keys]}


def hash_key(key: str) -> str:
    """Return what is stored of a key: 131 bits of chance need no salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse_secrets(document: dict[str, Any]) -> Secrets:
    """
    Understand a secrets document.

    Raises:
        Malformed: its keys or its tokens are not what they should be. Nothing of them
            is repeated.
    """
    entries = document.get(KEYS, [])
    if not isinstance(entries, list):
        raise documents.Malformed(f"{KEYS} is not a list")
    keys = tuple(_key(number, entry) for number, entry in enumerate(entries))
    if len({key.id for key in keys}) != len(keys):
        raise documents.Malformed("two keys have the same id")
    hub_token = _token(document, HUB_TOKEN, HUB_TOKEN_REGEX)
    portal_token = _token(document, PORTAL_TOKEN, PORTAL_TOKEN_REGEX)
    return Secrets(keys, dict(document), hub_token, portal_token)


def load_secrets(settings: Settings) -> Secrets:
    """
    Read secrets.json; no file means no secrets.

    Raises:
        StateCorrupt: it is damaged; it was set aside.
        StateUnreadable: it cannot be read.
    """
    return _read(settings)[0]


def observe_secrets(settings: Settings) -> Secrets:
    """
    Read secrets.json, and leave a damaged one where it is.

    Raises:
        StateCorrupt: it is damaged.
        StateUnreadable: it cannot be read.
    """
    document = documents.observe_object(settings.secrets_file)
    try:
        return Secrets() if document is None else parse_secrets(document)
    except documents.Malformed as error:
        raise documents.damaged(settings.secrets_file, str(error)) from error


def change_secrets(settings: Settings, change: Callable[[Secrets], Secrets]) -> Secrets:
    """
    Change secrets.json; call it under the lock.

    Args:
        settings: Where it is.
        change: Takes the present secrets, returns the new ones.
    Returns:
        The new secrets, which are on disk.
    Raises:
        StateError: it cannot be read or written; what was there is still there.
    """
    present, based_on = _read(settings)
    secrets = change(present)
    data = documents.format_object(secrets.as_json())
    atomic.replace_file(settings.secrets_file, data, based_on, settings.lock_file)
    return secrets


def _read(settings: Settings) -> tuple[Secrets, bytes | None]:
    path = settings.secrets_file
    document = documents.read_document(path)
    if document is None:
        return Secrets(), None
    try:
        return parse_secrets(document.content), document.data
    except documents.Malformed as error:
        raise documents.set_aside(path, str(error), document.data) from error


def _token(document: dict[str, Any], name: str, regex: str) -> str:
    token = document.get(name) or ""
    if token and not (isinstance(token, str) and re.fullmatch(regex, token)):
        raise documents.Malformed(f"{name} is not a token")
    return str(token)


def _key(number: int, entry: Any) -> NamedKey:
    try:
        return _checked_key(entry)
    except (KeyError, TypeError, ValueError):
        # No chained error: it might repeat a part of the file.
        raise documents.Malformed(f"{KEYS}[{number}] is not a key") from None


def _checked_key(entry: Any) -> NamedKey:
    created = _instant(entry["created"])
    if created is None or not _HASH.fullmatch(entry["hash"]):
        raise ValueError
    return NamedKey(
        id=_name(entry["id"]),
        name=_name(entry["name"]),
        role=Role(entry["role"]),
        hash=entry["hash"],
        created=created,
        # Absent is not null: a key that lost its expiry must not live for ever.
        expires=_instant(entry["expires"]),
        revoked=_instant(entry["revoked"]),
        document=dict(entry),
    )


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError
    return instant


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()

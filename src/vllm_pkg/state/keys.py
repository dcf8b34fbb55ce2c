"""
Changing the keys of the API: rotate the primary one; add, find and revoke named ones.

Each change is one critical section under the lock. The guard of a running engine reads
the files again when they change, so nothing has to be restarted.
"""

from __future__ import annotations

import difflib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import InvalidArgument
from vllm_pkg.state import credentials, locks
from vllm_pkg.state.secrets import (
    NamedKey,
    Role,
    change_secrets,
    hash_key,
    load_secrets,
)

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.secrets import Secrets

PREVIOUS: Final = "previous"
# Each request is compared with every active key.
ACTIVE_MAX: Final = 100
# Of keys that have ended, the newest are kept for the list.
ENDED_MAX: Final = 100
NAME_REGEX: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}$"
NAME_RULE: Final = (
    "1 to 40 letters, digits, spaces, dots, hyphens and underscores, beginning with a"
    " letter or digit"
)
_ID_BYTES: Final = 4


@dataclass(frozen=True)
class NewKey:
    """A key that was just made: the only time that it can be shown."""

    key: str
    entry: NamedKey


@dataclass(frozen=True)
class Rotation:
    """
    What a rotation did.

    Args:
        key: The new primary key.
        previous: The old one, when it stays valid for a while.
    """

    key: str
    previous: NamedKey | None


def now_utc() -> datetime:
    """Return the time by the wall clock, which decides about expiry."""
    return datetime.now(UTC).replace(microsecond=0)


def time_text(instant: datetime | None) -> str:
    """Return a time for people; ``never`` for none."""
    if instant is None:
        return "never"
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def is_valid_name(name: str) -> bool:
    """Whether a new key may be called so."""
    return re.fullmatch(NAME_REGEX, name) is not None


def rotate_key(settings: Settings, keep_h: float, now: datetime) -> Rotation:
    """
    Make a new primary key.

    Args:
        settings: Where the files are.
        keep_h: Hours for which the old key stays valid, >= 0.
        now: The time.
    Raises:
        StateError: a file is damaged, or cannot be read or written.
    """
    with locks.locked(settings.lock_file):
        old = credentials.load_key(settings)
        previous = None
        if old is not None and keep_h > 0:
            # First: whatever happens in between, no client is shut out.
            previous = _keep(settings, old, now + timedelta(hours=keep_h), now)
        key = credentials.generate_key()
        credentials.write_key(settings, key)
        return Rotation(key, previous)


def add_key(
    settings: Settings, name: str, role: Role, expires_d: int | None, now: datetime
) -> NewKey:
    """
    Add a named key.

    Args:
        settings: Where the files are.
        name: For people; no active key may have it.
        role: What it may do.
        expires_d: After how many days it is refused; None: never.
        now: The time.
    Raises:
        InvalidArgument: the name is taken, or there are too many keys.
        StateError: secrets.json is damaged, or cannot be read or written.
    """
    key = credentials.generate_key()
    expires = None if expires_d is None else now + timedelta(days=expires_d)
    entry = _new_entry(name, role, key, expires, now)

    def change(present: Secrets) -> Secrets:
        active = [item for item in present.keys if item.is_active(now)]
        if any(item.name == name for item in active):
            raise InvalidArgument(
                f"there is an active key named {name!r}",
                hint="choose another name, or revoke that key first",
            )
        if len(active) >= ACTIVE_MAX:
            raise InvalidArgument(
                f"there are {ACTIVE_MAX} active keys, which is the most",
                hint="revoke one that is not needed: vllm-pkg key list",
            )
        return present.with_keys(_prune((*present.keys, entry), now))

    with locks.locked(settings.lock_file):
        change_secrets(settings, change)
    return NewKey(key, entry)


def active_keys(settings: Settings, now: datetime) -> tuple[NamedKey, ...]:
    """
    Return the named keys that are accepted now.

    Raises:
        StateError: secrets.json is damaged, or cannot be read.
    """
    return tuple(key for key in load_secrets(settings).keys if key.is_active(now))


def revoke_key(settings: Settings, wanted: str, now: datetime) -> NamedKey:
    """
    Revoke a named key; requests that run already are not cut.

    Args:
        settings: Where the files are.
        wanted: Id or name of an active key.
        now: The time.
    Returns:
        The key, revoked.
    Raises:
        InvalidArgument: there is no such active key; the hint names a similar one.
        StateError: secrets.json is damaged, or cannot be read or written.
    """
    with locks.locked(settings.lock_file):
        revoked = _find(active_keys(settings, now), wanted).revoke(now)
        change_secrets(
            settings,
            lambda present: present.with_keys(
                tuple(revoked if k.id == revoked.id else k for k in present.keys)
            ),
        )
    return revoked


def _find(active: tuple[NamedKey, ...], wanted: str) -> NamedKey:
    for key in active:
        if wanted in {key.id, key.name}:
            return key
    similar = difflib.get_close_matches(wanted, [key.name for key in active], n=1)
    hint = f"did you mean {similar[0]}?" if similar else "see vllm-pkg key list"
    raise InvalidArgument(f"there is no active key {wanted!r}", hint=hint)


def _keep(
    settings: Settings, old: str, expires: datetime, now: datetime
) -> NamedKey | None:
    kept: list[NamedKey] = []

    def change(present: Secrets) -> Secrets:
        taken = {item.name for item in present.keys if item.is_active(now)}
        entry = _new_entry(_free_name(taken), Role.USER, old, expires, now)
        kept.append(entry)
        return present.with_keys(_prune((*present.keys, entry), now))

    change_secrets(settings, change)
    return kept[0]


def _free_name(taken: set[str]) -> str:
    name, number = PREVIOUS, 1
    while name in taken:
        number += 1
        name = f"{PREVIOUS}-{number}"
    return name


def _new_entry(
    name: str, role: Role, key: str, expires: datetime | None, now: datetime
) -> NamedKey:
    return NamedKey(
        id=secrets.token_hex(_ID_BYTES),
        name=name,
        role=role,
        hash=hash_key(key),
        created=now,
        expires=expires,
    )


def _prune(keys: tuple[NamedKey, ...], now: datetime) -> tuple[NamedKey, ...]:
    ended = [key.id for key in keys if not key.is_active(now)]
    dropped = set(ended[: max(0, len(ended) - ENDED_MAX)])
    return tuple(key for key in keys if key.id not in dropped)

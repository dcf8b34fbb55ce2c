"""The keys of the API as rows of a list. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from babel.dates import format_date

from vllm_pkg.portal.wording import ago, instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from vllm_pkg.engine.guard.key_list import ListedKey
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.state.secrets import NamedKey

_ACTIVE: Final = "active"


@dataclass(frozen=True)
class Fact:
    """
    One thing about a key.

    Args:
        text: For people.
        exact: The time it speaks of, to the second; None where it speaks of none.
    """

    text: str
    exact: str | None = None


@dataclass(frozen=True)
class KeyRow:
    """
    One named key.

    Args:
        id: Its id.
        name: For people.
        is_active: Whether it is accepted.
        state: Its state in a word.
        facts: Role, times and requests.
    """

    id: str
    name: str
    is_active: bool
    state: str
    facts: tuple[Fact, ...]


def summarize(texts: Texts, keys: Sequence[ListedKey]) -> str:
    """Return who can use the API, in one sentence."""
    count = sum(key.state == _ACTIVE and key.entry is not None for key in keys)
    return texts("keys.summary", count=count) if count else texts("keys.primary_only")


def primary_facts(
    texts: Texts, keys: Sequence[ListedKey], now: datetime
) -> tuple[Fact, ...]:
    """Return how the primary key was used."""
    primary = next(key for key in keys if key.entry is None)
    return (_requests(texts, primary), _last_used(texts, primary, now))


def key_rows(
    texts: Texts, keys: Sequence[ListedKey], now: datetime
) -> tuple[KeyRow, ...]:
    """
    Return the named keys: those that work by name, and then those that have ended.

    Args:
        texts: The language.
        keys: From `vllm_pkg.engine.guard.key_list.list_keys`.
        now: The time.
    """
    named = [(key, key.entry) for key in keys if key.entry is not None]
    named.sort(key=lambda one: (one[0].state != _ACTIVE, one[0].name.casefold()))
    return tuple(
        KeyRow(
            id=key.id,
            name=key.name,
            is_active=key.state == _ACTIVE,
            state=texts(f"keys.state.{key.state}"),
            facts=tuple(_facts(texts, key, entry, now)),
        )
        for key, entry in named
    )


def _facts(texts: Texts, key: ListedKey, entry: NamedKey, now: datetime) -> list[Fact]:
    facts = [
        Fact(texts(f"keys.role.{key.role}")),
        _timed(texts, "keys.created", entry.created, now),
    ]
    if entry.revoked is not None:
        facts.append(_timed(texts, "keys.revoked", entry.revoked, now))
    elif entry.expires is None:
        facts.append(Fact(texts("keys.never_expires")))
    else:
        tense = "keys.expires" if now < entry.expires else "keys.expired"
        facts.append(_timed(texts, tense, entry.expires, now))
    return [*facts, _requests(texts, key), _last_used(texts, key, now)]


def _requests(texts: Texts, key: ListedKey) -> Fact:
    return Fact(texts("keys.requests", count=key.requests))


def _last_used(texts: Texts, key: ListedKey, now: datetime) -> Fact:
    if key.last_used is None:
        return Fact(texts("keys.never_used"))
    return _timed(texts, "keys.last_used", key.last_used, now)


def _timed(texts: Texts, key: str, when: datetime, now: datetime) -> Fact:
    told = texts(key, when=ago(texts, when, now), day=_day(texts, when))
    return Fact(told, instant(texts, when))


def _day(texts: Texts, when: datetime) -> str:
    return format_date(when, "long", locale=texts.locale)

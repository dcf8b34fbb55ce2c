"""The keys of the API for people: what each is, and how it was used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vllm_pkg.engine.guard.key_ring import PRIMARY_ID, primary_id
from vllm_pkg.engine.guard.usage import Usage, read_usage
from vllm_pkg.errors import StateError
from vllm_pkg.state import credentials
from vllm_pkg.state.secrets import Role, hash_key, load_secrets

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.secrets import NamedKey


@dataclass(frozen=True)
class ListedKey:
    """
    One key, without what it is made of.

    Args:
        id: Its id.
        name: For people.
        role: What it may do.
        state: ``active``, ``expired`` or ``revoked``.
        requests: How many requests it opened.
        last_used: When the last one was; None: never.
        entry: What secrets.json says of it; None for the primary key.
    """

    id: str
    name: str
    role: Role
    state: str
    requests: int
    last_used: datetime | None
    entry: NamedKey | None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form; it holds neither a key nor a hash."""
        entry = {} if self.entry is None else self.entry.as_json()
        return {
            "id": self.id,
            "name": self.name,
            "role": str(self.role),
            "state": self.state,
            "created": entry.get("created"),
            "expires": entry.get("expires"),
            "revoked": entry.get("revoked"),
            "requests": self.requests,
            "lastUsed": None if self.last_used is None else self.last_used.isoformat(),
        }


def list_keys(settings: Settings, now: datetime) -> tuple[ListedKey, ...]:
    """
    Return the primary key and the named ones, those that have ended included.

    Args:
        settings: Where the files are.
        now: The time, to tell what has expired.
    Raises:
        StateError: secrets.json is damaged, or cannot be read.
    """
    usage = read_usage(settings.key_usage_dir)
    primary = _listed(None, _primary_ids(settings), usage, now)
    named = (
        # One that was the primary key brings its count along.
        _listed(entry, (entry.id, primary_id(entry.hash)), usage, now)
        for entry in load_secrets(settings).keys
    )
    return (primary, *named)


def _primary_ids(settings: Settings) -> tuple[str, ...]:
    """Return the ids that the primary key is counted under, the older one included."""
    try:
        key = credentials.observe_key(settings)
    except StateError:
        # A list changes nothing, and other commands say what is wrong.
        key = None
    return (PRIMARY_ID,) if key is None else (PRIMARY_ID, primary_id(hash_key(key)))


def _listed(
    entry: NamedKey | None,
    counted_as: tuple[str, ...],
    usage: dict[str, Usage],
    now: datetime,
) -> ListedKey:
    used = Usage(0, 0.0)
    for key_id in counted_as:
        used = used.plus(usage.get(key_id, Usage(0, 0.0)))
    last_used = datetime.fromtimestamp(int(used.last_used_s), UTC)
    return ListedKey(
        id=PRIMARY_ID if entry is None else entry.id,
        name=PRIMARY_ID if entry is None else entry.name,
        role=Role.USER if entry is None else entry.role,
        state="active" if entry is None else _state(entry, now),
        requests=used.requests,
        last_used=last_used if used.requests else None,
        entry=entry,
    )


def _state(key: NamedKey, now: datetime) -> str:
    if key.revoked is not None:
        return "revoked"
    return "active" if key.is_active(now) else "expired"

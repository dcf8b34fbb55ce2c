"""Whether damage to secrets.json lets a key in that the file did not let in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vllm_pkg.engine.guard.key_ring import KeyRing
from vllm_pkg.errors import StateError
from vllm_pkg.state.secrets import hash_key, load_secrets

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

PRIMARY = "abcdefghijABCDEFGHIJ01"
ACTIVE = "Active0123456789ABCDEF"
REVOKED = "Revoked0123456789ABCDE"
STRANGER = "Stranger0123456789ABCD"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
_TIME = "2026-01-02T03:04:05+00:00"
_NO_ZONE = "2026-01-02T03:04:05"


def entry(key: str, **other: object) -> dict[str, object]:
    """Return what secrets.json says of a key that is accepted."""
    return {
        "id": key[:3],
        "name": key[:3],
        "role": "user",
        "hash": hash_key(key),
        "created": _TIME,
        "expires": None,
        "revoked": None,
    } | other


def document(*entries: object) -> bytes:
    """Return a secrets.json with entries."""
    return json.dumps({"keys": entries, "huggingFaceToken": "hf_a"}).encode()


SECRETS = document(entry(ACTIVE), entry(REVOKED, revoked=_TIME))


def wrong_entries() -> list[bytes]:
    """Return files with an entry of which one field is missing, or no such field."""
    whole = entry(STRANGER)
    kinds: tuple[object, ...] = (5, True, "", [], {})
    # null means never in the last two, and nothing else may be taken for it.
    values = {
        "id": (None, *kinds),
        "name": (None, *kinds),
        "role": (None, "root", *kinds),
        "hash": (None, "x", hash_key(STRANGER).upper(), *kinds),
        "created": (None, "x", _NO_ZONE, *kinds),
        "expires": ("x", _NO_ZONE, *kinds),
        "revoked": ("x", _NO_ZONE, *kinds),
    }
    wrong = [
        whole | {name: value} for name, wrongs in values.items() for value in wrongs
    ]
    missing = [{k: v for k, v in whole.items() if k != name} for name in whole]
    twins = document(whole, entry(REVOKED, id=whole["id"]))
    return [*(document(item) for item in (*missing, *wrong)), twins]


def find_extra_keys(settings: Settings, data: bytes) -> list[str]:
    """
    Return what is wrong with the keys that a guard accepts over a damaged file.

    Args:
        settings: Where the files are.
        data: The damaged secrets.json, which is what stands there.
    """
    path = settings.secrets_file
    fresh = _accepted(KeyRing(settings.credentials_file, path))
    seconds = [0.0]
    path.write_bytes(SECRETS)
    running = KeyRing(settings.credentials_file, path, lambda: seconds[0])
    path.write_bytes(data)
    seconds[0] = 1.0
    found = {"a new guard": fresh, "a running guard": _accepted(running)}
    try:
        load_secrets(settings)
    except StateError:
        found["a guard after it"] = _accepted(KeyRing(settings.credentials_file, path))
    wrong = [
        f"{who} accepts {extra}"
        for who, keys in found.items()
        for extra in keys - {PRIMARY, ACTIVE}
    ]
    wrong += [
        f"{who} refuses the primary key"
        for who, keys in found.items()
        if PRIMARY not in keys
    ]
    return wrong


def _accepted(ring: KeyRing) -> set[str]:
    accepted = set()
    tokens = (PRIMARY, ACTIVE, REVOKED, STRANGER, hash_key(STRANGER), "None", "null")
    for token in tokens:
        key = ring.find(token.encode(), NOW.timestamp())
        if key is not None:
            accepted.add(f"{token} of an administrator" if key.is_admin else token)
    return accepted

"""
credentials.json: the API key, and nothing else.

Dependent services read this file; its shape is ``{"apiKey": "<22 characters>"}``.
A missing key is generated, a damaged file is set aside: no engine starts without a key.
"""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateCorrupt
from vllm_pkg.state import atomic, documents
from vllm_pkg.state.store import load_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

API_KEY: Final = "apiKey"
KEY_ALPHABET: Final = string.ascii_letters + string.digits
KEY_LENGTH: Final = 22


def generate_key() -> str:
    """Return a new key: 22 characters of A-Za-z0-9, 131 bits of chance."""
    return "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))


def load_key(settings: Settings) -> str | None:
    """
    Read the API key.

    Returns:
        The key, or None when there is no credentials.json.
    Raises:
        StateCorrupt: the file is damaged; it was set aside.
        StateUnreadable: the file cannot be read.
    """
    document = documents.read_object(settings.credentials_file)
    return None if document is None else _key_of(document, settings)


def ensure_key(settings: Settings) -> str:
    """
    Return the API key, making one when there is none.

    A key that an old version kept inside store.json is taken over, so that its clients
    keep working.

    Raises:
        StateError: a file is damaged, or cannot be read or written.
    """
    with atomic.locked(settings.lock_file):
        atomic.make_folder(settings.public, 0o755)
        document = documents.read_object(settings.credentials_file)
        if document is not None:
            key = _key_of(document, settings)
            if _mode(settings) != settings.credentials_mode:
                _write(settings, document)
            return key
        key = _key_in_store(settings) or generate_key()
        _write(settings, {API_KEY: key})
        return key


def drop_key_from_store(settings: Settings) -> None:
    """
    Remove the key that an old version kept in store.json.

    Call it after `ensure_key`: it removes nothing while credentials.json has no key.

    Raises:
        StateError: a file is damaged, or cannot be read or written.
    """
    with atomic.locked(settings.lock_file):
        store = load_store(settings)
        if API_KEY not in store.document or load_key(settings) is None:
            return
        document = {k: v for k, v in store.as_json().items() if k != API_KEY}
        data = documents.format_object(document)
        atomic.write_file(settings.store_file, data, mode=0o600)


def is_usable_key(value: object) -> bool:
    """Whether a value can serve as a key: text that fits into an HTTP header."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 256  # noqa: PLR2004
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def _key_of(document: dict[str, Any], settings: Settings) -> str:
    key = document.get(API_KEY)
    if not isinstance(key, str) or not is_usable_key(key):
        what = f"it has no usable {API_KEY}"
        error = documents.set_aside(settings.credentials_file, what)
        raise StateCorrupt(
            error.message,
            hint="restore it from a backup, or start again to get a new key",
        )
    return key


def _key_in_store(settings: Settings) -> str | None:
    key = load_store(settings).document.get(API_KEY)
    return key if isinstance(key, str) and is_usable_key(key) else None


def _mode(settings: Settings) -> int:
    return settings.credentials_file.stat().st_mode & 0o777


def _write(settings: Settings, document: dict[str, Any]) -> None:
    data = documents.format_object(document)
    atomic.write_file(settings.credentials_file, data, settings.credentials_mode)

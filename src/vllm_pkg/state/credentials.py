"""
credentials.json: the API key, and nothing else.

Dependent services read this file; its shape is ``{"apiKey": "<22 characters>"}``.
A missing key is generated, a damaged file is set aside: no engine starts without a key.
"""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateUnreadable
from vllm_pkg.state import atomic, documents, locks
from vllm_pkg.state.store import API_KEY, read_store, write_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

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
    document = documents.read_document(settings.credentials_file)
    return None if document is None else _key_of(document, settings)


def observe_key(settings: Settings) -> str | None:
    """
    Return the API key that a start would use, and change nothing.

    Returns:
        The key, or None when the start would make one.
    Raises:
        StateCorrupt: a file is damaged; it was left where it is.
        StateUnreadable: a file cannot be read.
    """
    document = documents.observe_object(settings.credentials_file)
    if document is None:
        document = documents.observe_object(settings.store_file) or {}
        key = document.get(API_KEY)
        return key if isinstance(key, str) and is_usable_key(key) else None
    key = document.get(API_KEY)
    if not isinstance(key, str) or not is_usable_key(key):
        what = f"it has no usable {API_KEY}"
        raise documents.damaged(settings.credentials_file, what)
    return key


def ensure_key(settings: Settings) -> str:
    """
    Return the API key, making one when there is none.

    A key that an old version kept inside store.json is taken over, so that its clients
    keep working.

    Raises:
        StateError: a file is damaged, or cannot be read or written.
    """
    with locks.locked(settings.lock_file):
        atomic.make_folder(settings.public, settings.public_mode)
        document = documents.read_document(settings.credentials_file)
        if document is not None:
            key = _key_of(document, settings)
            if _mode(settings) != settings.credentials_mode:
                _write(settings, document.content, document.data)
            return key
        key = _key_in_store(settings) or generate_key()
        _write(settings, {API_KEY: key}, None)
        return key


def drop_key_from_store(settings: Settings) -> None:
    """
    Remove the key that an old version kept in store.json.

    Call it after `ensure_key`: it removes nothing while credentials.json has no key.

    Raises:
        StateError: a file is damaged, or cannot be read or written.
    """
    with locks.locked(settings.lock_file):
        store, data = read_store(settings)
        if API_KEY not in store.document or load_key(settings) is None:
            return
        # As it was read: nothing else may change, known to this version or not.
        document = {k: v for k, v in store.document.items() if k != API_KEY}
        write_store(settings, document, based_on=data)


def write_key(settings: Settings, key: str) -> None:
    """
    Replace the API key; call it under the lock.

    Raises:
        StateError: it cannot be read or written; the old key is still there.
    """
    atomic.make_folder(settings.public, settings.public_mode)
    present = documents.read_document(settings.credentials_file)
    _write(settings, {API_KEY: key}, None if present is None else present.data)


def is_usable_key(value: object) -> bool:
    """Whether a value can serve as a key: text that fits into an HTTP header."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 256  # noqa: PLR2004
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def _key_of(document: documents.Document, settings: Settings) -> str:
    key = document.content.get(API_KEY)
    if not isinstance(key, str) or not is_usable_key(key):
        raise documents.set_aside(
            settings.credentials_file,
            f"it has no usable {API_KEY}",
            document.data,
            hint="restore it from a backup, or start again to get a new key",
        )
    return key


def _key_in_store(settings: Settings) -> str | None:
    # Not the store that it makes: a field that no engine could be started with must
    # not take the key with it when the file is set aside.
    document = documents.read_object(settings.store_file) or {}
    key = document.get(API_KEY)
    return key if isinstance(key, str) and is_usable_key(key) else None


def _mode(settings: Settings) -> int:
    path = settings.credentials_file
    try:
        return path.stat().st_mode & 0o777
    except OSError as error:
        raise StateUnreadable(f"cannot read {path}: {error.strerror}") from error


def _write(
    settings: Settings, document: dict[str, Any], based_on: bytes | None
) -> None:
    atomic.replace_file(
        settings.credentials_file,
        documents.format_object(document),
        based_on,
        settings.lock_file,
        settings.credentials_mode,
    )

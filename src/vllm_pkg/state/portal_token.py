"""The token of the portal, in secrets.json: made once, and anew when a person asks."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from vllm_pkg.state import atomic, locks
from vllm_pkg.state.secrets import Secrets, change_secrets, load_secrets

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

# 43 characters, 256 bits of chance.
TOKEN_BYTES: Final = 32


def ensure_portal_token(settings: Settings) -> str:
    """
    Return the token of the portal, making one when there is none.

    Raises:
        StateError: secrets.json is damaged, or cannot be read or written.
    """
    if token := load_secrets(settings).portal_token:
        return token
    return _change(settings, is_kept=True)


def rotate_portal_token(settings: Settings) -> str:
    """
    Make a new token of the portal: sessions of the old one end.

    Raises:
        StateError: secrets.json is damaged, or cannot be read or written.
    """
    return _change(settings, is_kept=False)


def _change(settings: Settings, *, is_kept: bool) -> str:
    new = secrets.token_urlsafe(TOKEN_BYTES)

    def change(present: Secrets) -> Secrets:
        # Another process may have made one while this one waited for the lock.
        kept = present.portal_token if is_kept else ""
        return present.with_portal_token(kept or new)

    atomic.make_folder(settings.main)
    with locks.locked(settings.lock_file):
        return change_secrets(settings, change).portal_token

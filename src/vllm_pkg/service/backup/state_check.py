"""Whether a file of the state is one that a start could use. Pure."""

from __future__ import annotations

from vllm_pkg.state import documents
from vllm_pkg.state.credentials import is_usable_key
from vllm_pkg.state.restore_journal import CREDENTIALS, SECRETS
from vllm_pkg.state.secrets import Secrets, parse_secrets
from vllm_pkg.state.store import API_KEY, parse_store


def check_state(name: str, data: bytes) -> None:
    """
    Check one file.

    Args:
        name: Such as ``main/store.json``.
        data: Its content.
    Raises:
        Malformed: a start would set it aside.
    """
    document = documents.parse_object(data)
    if name == SECRETS:
        parse_secrets(document)
    elif name != CREDENTIALS:
        parse_store(document)
    elif not is_usable_key(document.get(API_KEY)):
        raise documents.Malformed(f"it has no usable {API_KEY}")


def has_key(state: dict[str, bytes]) -> bool:
    """Whether the files hold the API key; older packages had it in store.json."""
    found = [documents.parse_object(data) for data in state.values()]
    return any(is_usable_key(document.get(API_KEY)) for document in found)


def secrets_in(state: dict[str, bytes]) -> Secrets:
    """Return what secrets.json holds; nothing where there is none."""
    data = state.get(SECRETS)
    return Secrets() if data is None else parse_secrets(documents.parse_object(data))

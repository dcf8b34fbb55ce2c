"""Which secrets this instance has: of its files, damaged ones too, and of its user."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.service.support.redaction import Redactor, is_secret_name, secrets_in
from vllm_pkg.state import documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vllm_pkg.settings import Settings

_SIZE_MAX_BYTES: Final = 16 * 1024 * 1024
# In a damaged file it is not clear where a text begins: any word might be a secret.
_WORD: Final = re.compile(r"[^\s\"{}\[\],:]{6,}")
_KEYS: Final = "keys"
_HASH: Final = re.compile("[0-9a-f]{64}")


def make_redactor(settings: Settings, environ: Mapping[str, str]) -> Redactor:
    """
    Make what hides the secrets of an instance.

    Args:
        settings: Which instance.
        environ: The environment, which may hold secrets of other programs.
    """
    secrets: set[str] = {*_of_environment(environ), *_of_hub(environ)}
    hashes: set[str] = set()
    for file in _state_files(settings):
        data = _read(file)
        try:
            document = documents.parse_object(data, _SIZE_MAX_BYTES)
        except documents.Malformed:
            words = _WORD.findall(data.decode("utf-8", errors="replace"))
            secrets.update(words)
            hashes.update(filter(_HASH.fullmatch, words))
            continue
        secrets.update(secrets_in(document))
        if file.name.startswith(settings.secrets_file.name):
            hashes.update(_hashes(document))
            secrets.update(_all_strings({**document, _KEYS: []}))
    return Redactor(secrets, hashes, _home(environ))


def _state_files(settings: Settings) -> Iterator[Path]:
    """Yield the files of the state, those set aside and those a restore replaced."""
    files = (
        *(settings.store_file, settings.secrets_file),
        *(settings.switch_file, settings.credentials_file),
    )
    for file in files:
        for folder in (file.parent, *settings.main.glob("before-restore-*")):
            yield from folder.glob(f"{file.name}*")
    yield from settings.main.glob(f"{settings.restore_journal_file.name}*")


def _of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        words = name.upper().split("_")
        if is_secret_name(name.lower()) or not {"KEY", "KEYS"}.isdisjoint(words):
            yield value


def _of_hub(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the token that huggingface_hub keeps for its user."""
    home = Path(environ.get("HF_HOME") or f"{_home(environ)}/.cache/huggingface")
    yield _read(home / "token").decode(errors="replace").strip()


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "").rstrip("/")
    return home if home.count("/") > 1 else ""


def _hashes(document: dict[str, Any]) -> set[str]:
    return {text for text in _all_strings(document) if _HASH.fullmatch(text)}


def _all_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _all_strings(item)
    elif isinstance(value, dict):
        yield from _all_strings(list(value.values()))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_SIZE_MAX_BYTES)
    except OSError:
        return b""

"""
restore.json: a restore that has been decided, for whoever has to finish it.

Everything that is to come stands ready before this file is written; writing it is the
moment of the decision. From then on the same steps lead to the new state however often
they are begun: after a kill or a loss of power the next start does them again. Until
then nobody else gets the lock of the state.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateLocked
from vllm_pkg.state import atomic, documents, locks

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.settings import Settings

# Files of the state, by the names that backups give them. A switch of models is not
# backed up: it belongs to the moment, and goes with the state that it would change.
STORE: Final = "main/store.json"
SECRETS: Final = "main/secrets.json"
SWITCH: Final = "main/switch.json"
CREDENTIALS: Final = "public/credentials.json"
MODELS: Final = "models"
LOCAL_MODELS: Final = "local-models"
# Three files of the largest size that a document may have, each escaped in full.
SIZE_MAX_BYTES: Final = 64 * 1024 * 1024
_STAGING: Final = ".restoring"
_BEFORE: Final = "before-restore-"
_LOCK_TIMEOUT_S: Final = 0.1


@dataclass(frozen=True)
class Journal:
    """
    What a restore does.

    Args:
        id: Differs from that of any other restore; for people it begins with the time.
        files: The new content of each file of the state, by name; None: there is none.
        folders: The folders of models that stand ready, such as
            ``models/models--org--name``.
    """

    id: str
    files: dict[str, str | None]
    folders: tuple[str, ...] = ()


def state_file(settings: Settings, name: str) -> Path:
    """Return where a file of the state is."""
    return {
        STORE: settings.store_file,
        SECRETS: settings.secrets_file,
        SWITCH: settings.switch_file,
        CREDENTIALS: settings.credentials_file,
    }[name]


def staging_of(settings: Settings, root: str) -> Path:
    """Return the folder in which models stand ready, in the file system of theirs."""
    return _root(settings, root) / _STAGING


def replaced_of(settings: Settings, root: str, restore_id: str) -> Path:
    """Return the folder to which a restore has moved the models that it replaced."""
    return _root(settings, root) / f".{_BEFORE}{restore_id}"


def copies_of(settings: Settings, restore_id: str) -> Path:
    """Return the folder with the files of the state that a restore has replaced."""
    return settings.main / f"{_BEFORE}{restore_id}"


def is_pending(settings: Settings) -> bool:
    """Whether a restore was decided and is not finished."""
    return os.path.lexists(settings.restore_journal_file)


def commit(settings: Settings, journal: Journal) -> None:
    """
    Decide a restore; call it under the lock of the state, and `finish` after it.

    What is there now is copied beside its place first.

    Raises:
        StateError: nothing was decided; the state is as it was.
    """
    _copy_present(settings)
    document = {
        "id": journal.id,
        "files": journal.files,
        "folders": list(journal.folders),
    }
    atomic.write_file(settings.restore_journal_file, documents.format_object(document))


def finish(settings: Settings) -> bool:
    """
    Do what is left of a restore; call it under the lock of the state.

    Returns:
        Whether there was one.
    Raises:
        StateError: a step failed; it is tried again by the next call.
    """
    journal = _read(settings)
    if journal is None:
        _drop_leftovers(settings)
        return False
    _keep_copies(settings, journal.id)
    for name in journal.folders:
        _put_in_place(settings, journal.id, name)
    for name, content in journal.files.items():
        _write(settings, name, content)
    for root in (MODELS, LOCAL_MODELS):
        _remove_folder(staging_of(settings, root))
        _drop_older(replaced_of(settings, root, journal.id))
    _remove_folder(_copies(settings))
    _drop_older(copies_of(settings, journal.id))
    atomic.remove_file(settings.restore_journal_file)
    return True


def clear(settings: Settings) -> None:
    """Remove what stands ready for a restore that was not decided."""
    for folder in _ready_folders(settings):
        _remove_folder(folder)


def _read(settings: Settings) -> Journal | None:
    path = settings.restore_journal_file
    document = documents.read_document(path, SIZE_MAX_BYTES)
    if document is None:
        return None
    try:
        return _parse(document.content)
    except (KeyError, TypeError, ValueError) as error:
        raise documents.set_aside(path, "it is no journal", document.data) from error


def _parse(document: dict[str, Any]) -> Journal:
    journal = Journal(
        str(document["id"]), dict(document["files"]), tuple(document["folders"])
    )
    known = {STORE, SECRETS, SWITCH, CREDENTIALS}
    texts = {type(content) for content in journal.files.values()}
    roots = {MODELS, LOCAL_MODELS}
    split = [name.split("/") for name in journal.folders]
    if (
        journal.files.keys() - known
        or texts - {str, type(None)}
        or any(parts[0] not in roots or len(parts) != 2 for parts in split)  # noqa: PLR2004
    ):
        raise ValueError
    return journal


def _copy_present(settings: Settings) -> None:
    """Copy the present state beside its place, damaged files as they are."""
    folder = _copies(settings)
    for name in (STORE, SECRETS, SWITCH, CREDENTIALS):
        path = state_file(settings, name)
        try:
            content = atomic.read_file(path)
        except OSError as error:
            raise atomic.write_failed(folder / path.name, error) from error
        if content is not None:
            atomic.make_folder(folder)
            atomic.write_file(folder / path.name, content)


def _keep_copies(settings: Settings, restore_id: str) -> None:
    """Give the copies their name, for good."""
    copies, kept = _copies(settings), copies_of(settings, restore_id)
    for name in (STORE, SECRETS, SWITCH, CREDENTIALS):
        copy = copies / state_file(settings, name).name
        if copy.exists():
            atomic.make_folder(kept)
            atomic.move_file(copy, kept / copy.name)


def _put_in_place(settings: Settings, restore_id: str, name: str) -> None:
    root, _, folder = name.partition("/")
    ready = staging_of(settings, root) / folder
    if not ready.is_dir():
        # Done already, by whoever was interrupted later.
        return
    target = _root(settings, root) / folder
    if os.path.lexists(target):
        replaced = replaced_of(settings, root, restore_id)
        atomic.make_folder(replaced)
        atomic.move_file(target, replaced / folder)
    atomic.move_file(ready, target)


def _write(settings: Settings, name: str, content: str | None) -> None:
    path = state_file(settings, name)
    if content is None:
        atomic.remove_file(path)
        return
    is_public = name == CREDENTIALS
    atomic.make_folder(path.parent, settings.public_mode if is_public else 0o700)
    mode = settings.credentials_mode if is_public else 0o600
    atomic.write_file(path, content.encode(), mode)


def _drop_older(kept: Path) -> None:
    """Remove what earlier restores have kept."""
    prefix = kept.name.partition(_BEFORE)[0] + _BEFORE
    for folder in kept.parent.glob(f"{prefix}*"):
        if folder != kept:
            _remove_folder(folder)


def _drop_leftovers(settings: Settings) -> None:
    if not any(map(os.path.lexists, _ready_folders(settings))):
        return
    try:
        # Whoever prepares a restore at this moment holds it.
        with locks.locked(settings.restore_lock_file, _LOCK_TIMEOUT_S):
            clear(settings)
    except StateLocked:
        return


def _ready_folders(settings: Settings) -> tuple[Path, ...]:
    staging = (staging_of(settings, root) for root in (MODELS, LOCAL_MODELS))
    return (_copies(settings), *staging)


def _copies(settings: Settings) -> Path:
    return settings.main / _STAGING


def _root(settings: Settings, root: str) -> Path:
    return settings.models_dir if root == MODELS else settings.local_models_dir


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)

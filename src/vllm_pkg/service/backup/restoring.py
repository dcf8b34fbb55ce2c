"""
Restoring a backup: all of it is checked and made ready before anything is replaced.

The moment of the decision is one file, `vllm_pkg.state.restore_journal`; what comes
after it is finished by the next start if this program does not get so far.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vllm_pkg import __version__
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.daemon import prepare_state
from vllm_pkg.errors import StateLocked
from vllm_pkg.hosts.standalone import control
from vllm_pkg.models.removal import size_on_disk
from vllm_pkg.service.backup.errors import ServiceIsRunning
from vllm_pkg.service.backup.reading import Drain, read_backup, read_list
from vllm_pkg.service.backup.staging import Staging
from vllm_pkg.service.backup.summary import no_progress, summarise
from vllm_pkg.state import atomic, locks, records, restore_journal
from vllm_pkg.state.identity import is_alive
from vllm_pkg.state.restore_journal import LOCAL_MODELS, MODELS, Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_pkg.service.backup.summary import BackupSummary, Progress
    from vllm_pkg.settings import Settings

LOCK_TIMEOUT_S = 0.5
_STATE_NAMES = (
    *(restore_journal.STORE, restore_journal.SECRETS),
    *(restore_journal.SWITCH, restore_journal.CREDENTIALS),
)


@dataclass(frozen=True)
class RestoreReport:
    """
    What a restore did.

    Args:
        summary: What the backup held.
        kept: The folder with the state of before; None: there was none.
        kept_models: The folders with the models that were replaced.
        kept_model_bytes: What they occupy.
        is_restarted: Whether the running service was restarted with the new state.
    """

    summary: BackupSummary
    kept: Path | None
    kept_models: tuple[Path, ...]
    kept_model_bytes: int
    is_restarted: bool

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "backup": self.summary.as_json(),
            "kept": None if self.kept is None else str(self.kept),
            "keptModels": list(map(str, self.kept_models)),
            "keptModelBytes": self.kept_model_bytes,
            "isRestarted": self.is_restarted,
        }


def read_summary(source: Path) -> BackupSummary:
    """
    Return what a backup says that it holds; of models the content is not read.

    Raises:
        BackupError: it is damaged, newer than this program, or cannot be read.
    """
    return summarise(*read_list(source, __version__))


def verify_backup(source: Path, *, progress: Progress = no_progress) -> BackupSummary:
    """
    Read all of a backup and check it, and change nothing.

    Args:
        source: The backup.
        progress: Is told how many bytes are done, of how many.
    Raises:
        BackupError: it is damaged, newer than this program, or cannot be read.
    """
    return summarise(*read_backup(source, __version__, Drain(), progress))


def check_can_restore(settings: Settings) -> None:
    """
    Refuse a restore while something uses the state.

    Raises:
        ServiceIsRunning: the service runs, or its engine.
    """
    host = control.running_host(settings)
    start = records.read_start(settings)
    if host is not None:
        raise ServiceIsRunning(
            f"the service is running (process {host.process.pid}, port {host.port})"
        )
    if start is not None and is_alive(start.process, BootClock().boot_id()):
        raise ServiceIsRunning(
            f"the engine is running (process {start.process.pid})",
            hint="stop the service, and try again",
        )


def restore_backup(
    settings: Settings,
    source: Path,
    *,
    restarts: bool = False,
    progress: Progress = no_progress,
) -> RestoreReport:
    """
    Put the state of a backup, and the models in it, into the place of what is here.

    Files of the state that the backup does not have are gone afterwards, models stay.

    Args:
        settings: Whose state.
        source: The backup.
        restarts: Whether a running service may be restarted for it; it gets the new
            state before its engine starts.
        progress: Is told how many bytes are done, of how many.
    Raises:
        ServiceIsRunning: the service runs and is not to be restarted.
        BackupError: the backup is damaged, newer than this program, cannot be read, or
            has no room; nothing was changed.
        ModelInUse: a model in it is being downloaded; nothing was changed.
        StateLocked: another restore runs.
        StateWriteFailed: nothing was changed, or the next start finishes it.
    """
    with _alone(settings, restarts=restarts):
        with locks.locked(settings.lock_file, finishes_restore=True):
            # One that was interrupted is decided, and older than this one.
            restore_journal.finish(settings)
        restore_journal.clear(settings)
        try:
            contents, state = read_backup(
                source, __version__, Staging(settings), progress
            )
            journal = _journal(state, contents.folders)
            with locks.locked(settings.lock_file):
                restore_journal.commit(settings, journal)
        except BaseException:
            if not restore_journal.is_pending(settings):
                restore_journal.clear(settings)
            raise
    is_restarted = restarts and control.running_host(settings) is not None
    if is_restarted:
        control.restart_engine(settings)
    # Whoever starts now finishes it first, as this does: it is done once.
    prepare_state(settings)
    summary = summarise(contents, state)
    return _report(settings, summary, journal.id, is_restarted=is_restarted)


@contextlib.contextmanager
def _alone(settings: Settings, *, restarts: bool) -> Iterator[None]:
    """Keep other restores out, and a host, unless it is to be restarted."""
    atomic.make_folder(settings.main)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(
                locks.locked(settings.restore_lock_file, LOCK_TIMEOUT_S)
            )
        except StateLocked as error:
            raise StateLocked("another restore of a backup is running") from error
        if not restarts:
            check_can_restore(settings)
            try:
                lock = locks.locked(settings.host_lock_file, LOCK_TIMEOUT_S)
                stack.enter_context(lock)
            except StateLocked as error:
                raise ServiceIsRunning("the service is being started") from error
        yield


def _journal(state: dict[str, bytes], folders: tuple[str, ...]) -> Journal:
    texts = {name: data.decode() for name, data in state.items()}
    files = {name: texts.get(name) for name in _STATE_NAMES}
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return Journal(f"{now}-{secrets.token_hex(2)}", files, folders)


def _report(
    settings: Settings, summary: BackupSummary, restore_id: str, *, is_restarted: bool
) -> RestoreReport:
    kept = restore_journal.copies_of(settings, restore_id)
    roots = (MODELS, LOCAL_MODELS)
    replaced = [restore_journal.replaced_of(settings, r, restore_id) for r in roots]
    kept_models = tuple(folder for folder in replaced if folder.is_dir())
    files = (path for folder in kept_models for path in folder.rglob("*"))
    sizes = (size_on_disk(path.lstat()) for path in files if path.is_file())
    return RestoreReport(
        summary=summary,
        kept=kept if kept.is_dir() else None,
        kept_models=kept_models,
        kept_model_bytes=sum(sizes),
        is_restarted=is_restarted,
    )

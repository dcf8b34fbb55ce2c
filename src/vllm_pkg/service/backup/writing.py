"""Making a backup: one tar archive, readable without this program."""

from __future__ import annotations

import hashlib
import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg import __version__
from vllm_pkg.errors import ConfigError
from vllm_pkg.models.quiet_open import quiet_stream
from vllm_pkg.service.backup.contents import (
    LIST_NAME,
    Contents,
    Member,
    format_contents,
    parse_contents,
)
from vllm_pkg.service.backup.sources import (
    CheckedContent,
    Source,
    find_models,
    read_state,
    reading_failed,
)
from vllm_pkg.service.backup.summary import Tally, no_progress, summarise
from vllm_pkg.service.file_target import check_target
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from vllm_pkg.service.backup.summary import BackupSummary, Progress
    from vllm_pkg.settings import Settings

MODE: Final = 0o600
_EPOCH: Final = 0


def backup_name(now: datetime) -> str:
    """Return how a backup of a moment is called."""
    return f"vllm-pkg-backup-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar"


def create_backup(
    settings: Settings,
    target: Path | BinaryIO,
    *,
    with_models: bool = False,
    progress: Progress = no_progress,
) -> BackupSummary:
    """
    Make a backup of the state, which holds the keys, and of the models if wanted.

    Args:
        settings: Whose state.
        target: A file, which gets mode 0600 and is whole or not there; or a stream.
        with_models: Whether the model cache and local models go into it.
        progress: Is told how many bytes are done, of how many.
    Returns:
        What the backup holds.
    Raises:
        InvalidArgument: something that is no file stands where it is to be written.
        ConfigError: there is no state yet.
        StateError: a file of the state is damaged or cannot be read, or the backup
            cannot be written.
        CacheError: a model is damaged or cannot be read.
        BackupDamaged: a model holds what no backup may.
    """
    if isinstance(target, Path):
        check_target(target)
    state = read_state(settings)
    if not state:
        raise ConfigError(
            f"there is no state in {settings.main} yet",
            hint="start the service once: vllm-pkg run",
        )
    models = find_models(settings) if with_models else []
    now = datetime.now(UTC).isoformat(timespec="seconds")
    members = [_state_member(name, data) for name, data in state.items()]
    listed = (*members, *(source.member for source in models))
    contents = Contents(__version__, now, listed)
    # What no restore would take is not written.
    parse_contents(format_contents(contents), __version__)
    if isinstance(target, Path):
        with atomic.new_file(target, MODE) as stream:
            _write(stream, contents, state, models, progress)
    else:
        _write(target, contents, state, models, progress)
    return summarise(contents, state)


def _state_member(name: str, data: bytes) -> Member:
    return Member(name, len(data), MODE, hashlib.sha256(data).hexdigest())


def _write(
    stream: BinaryIO,
    contents: Contents,
    state: dict[str, bytes],
    models: Sequence[Source],
    progress: Progress,
) -> None:
    tally = Tally(contents.size_bytes, progress)
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add_bytes(tar, LIST_NAME, format_contents(contents))
        for name, data in state.items():
            _add_bytes(tar, name, data)
            tally.advance(len(data))
        for source in models:
            _add_source(tar, source, tally)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_header(Member(name, len(data), MODE)), io.BytesIO(data))


def _add_source(tar: tarfile.TarFile, source: Source, tally: Tally) -> None:
    header = _header(source.member)
    if source.file is None:
        tar.addfile(header)
        return
    try:
        opened = quiet_stream(source.file)
    except OSError as error:
        raise reading_failed(source.file, error) from error
    with opened as stream:
        tar.addfile(header, CheckedContent(source, stream, tally.advance))


def _header(member: Member) -> tarfile.TarInfo:
    header = tarfile.TarInfo(member.path)
    header.size, header.mode, header.mtime = member.size_bytes, member.mode, _EPOCH
    if member.link is not None:
        header.type, header.linkname = tarfile.SYMTYPE, member.link
    return header

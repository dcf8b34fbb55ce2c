"""What goes into a backup: the files of the state as of one moment, and models."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import CacheError, StateUnreadable
from vllm_pkg.models.cache_content import parse_folder, read_cache
from vllm_pkg.models.quiet_open import quiet_stream
from vllm_pkg.service.backup.contents import (
    LOCAL_PREFIX,
    MODELS_PREFIX,
    STATE_NAMES,
    Member,
    link_to_blob,
)
from vllm_pkg.service.backup.state_check import check_state
from vllm_pkg.state import atomic, documents, locks
from vllm_pkg.state.restore_journal import state_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from vllm_pkg.models.cache_content import CacheContent
    from vllm_pkg.models.repository_content import RepositoryContent
    from vllm_pkg.settings import Settings

CHUNK_BYTES: Final = 1024 * 1024
# Content of large files is named after its SHA-256.
_NAMED_HASH: Final = re.compile("[0-9a-f]{64}")
# What is left beside content that arrives, or is being used.
_PASSING: Final = (".incomplete", ".synced")


@dataclass(frozen=True)
class Source:
    """
    What becomes one member of a backup.

    Args:
        member: What is said of it.
        file: Where its content is; None for a link.
    """

    member: Member
    file: Path | None = None


def read_state(settings: Settings) -> dict[str, bytes]:
    """
    Read all files of the state under the lock, so that they are of one moment.

    Raises:
        StateCorrupt: one is damaged; it was left where it is.
        StateError: one cannot be read, or a restore is not finished.
    """
    with locks.locked(settings.lock_file):
        read = {name: _read(state_file(settings, name)) for name in STATE_NAMES}
    found = {name: data for name, data in read.items() if data is not None}
    for name, data in found.items():
        try:
            check_state(name, data)
        except documents.Malformed as error:
            raise documents.damaged(state_file(settings, name), str(error)) from error
    return found


def find_models(settings: Settings) -> list[Source]:
    """
    Return every file and link of the models that are here.

    What of a download has not arrived is left out, as are models that are links to
    another place.

    Raises:
        CacheError: something of them cannot be read.
    """
    return [*_cached(settings), *_local(settings)]


def reading_failed(file: Path, error: OSError) -> CacheError:
    """Return the error for a file of a model that cannot be read."""
    return CacheError(
        f"cannot read {file}: {os.strerror(error.errno or 0)}",
        hint="check its owner and permissions, and the disk",
    )


def changed(file: Path) -> CacheError:
    """Return the error for a file whose content is not what its name promises."""
    return CacheError(
        f"{file} is damaged, or changed while it was read",
        hint="try again, and if it stays: vllm-pkg model verify --full --repair",
    )


def _read(path: Path) -> bytes | None:
    try:
        return atomic.read_file(path, documents.SIZE_MAX_BYTES + 1)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StateUnreadable(f"cannot read {path}: {reason}") from error


def _cached(settings: Settings) -> Iterator[Source]:
    cache = read_cache(settings)
    for name, content in sorted(cache.repositories.items()):
        folder = parse_folder(name)
        if folder is None or folder.is_leftover:
            continue
        if content.unread:
            raise CacheError(f"cannot read {cache.path / name / content.unread[0]}")
        yield from _repository(cache, content)


def _repository(cache: CacheContent, content: RepositoryContent) -> Iterator[Source]:
    links = []
    for path, entry in sorted(content.entries.items()):
        name = f"{MODELS_PREFIX}{content.name}/{path}"
        stored = cache.file_of(content, path)
        if stored is None:
            # Of a download that has not ended.
            continue
        if entry.blob is not None and not path.startswith("blobs/"):
            link = link_to_blob(path.split("/"), entry.blob)
            links.append(Source(Member(name, link=link)))
            continue
        if not path.endswith(_PASSING):
            yield _source(name, (cache.path / content.name / path).resolve())
    yield from links


def _source(name: str, file: Path) -> Source:
    blob = name.rpartition("/")[2]
    try:
        found = file.stat()
        known = blob if _NAMED_HASH.fullmatch(blob) else _hash(file)
    except OSError as error:
        raise reading_failed(file, error) from error
    mode = stat.S_IMODE(found.st_mode) & 0o755
    return Source(Member(name, found.st_size, mode, known), file)


def _local(settings: Settings) -> Iterator[Source]:
    root = settings.local_models_dir
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = root / folder / name
            if file.parent != root and not file.is_symlink():
                path = f"{LOCAL_PREFIX}{file.relative_to(root).as_posix()}"
                yield _source(path, file)


def _hash(file: Path) -> str:
    digest = hashlib.sha256()
    with quiet_stream(file) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class CheckedContent:
    """
    The content of a file for a backup, which must be what the list says of it.

    Args:
        source: Which file.
        stream: Its content.
        advance: Is told how many bytes were read.
    """

    def __init__(
        self, source: Source, stream: BinaryIO, advance: Callable[[int], None]
    ) -> None:
        self._source = source
        self._stream = stream
        self._advance = advance
        self._digest = hashlib.sha256()
        self._left_bytes = source.member.size_bytes

    def read(self, size_bytes: int = CHUNK_BYTES, /) -> bytes:
        """
        Read a part.

        Raises:
            CacheError: it cannot be read, or is another than was listed.
        """
        file = self._source.file
        assert file is not None  # noqa: S101  # links have no content
        wanted = min(size_bytes, self._left_bytes)
        try:
            chunk = self._stream.read(wanted)
        except OSError as error:
            raise reading_failed(file, error) from error
        self._digest.update(chunk)
        self._left_bytes -= len(chunk)
        is_over = not self._left_bytes
        is_wrong = is_over and self._digest.hexdigest() != self._source.member.sha256
        if is_wrong or len(chunk) < wanted:
            raise changed(file)
        self._advance(len(chunk))
        return chunk

"""
The Hugging Face cache: what is in it, and deleting a model from it.

A deletion first renames the repository's folder to a hidden name, so that an
interrupted one never looks like a whole model; what it left is listed and removed by
the next. Sizes are counted per file, however many names it has.
"""

from __future__ import annotations

import difflib
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import (
    CacheError,
    DeletionIncomplete,
    NotInCache,
    StateWriteFailed,
)
from vllm_pkg.models.removal import Tally, remove_folder, size_on_disk
from vllm_pkg.models.shared_blobs import collect_unused, shared_payloads
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.settings import Settings

LEFTOVER_PREFIX: Final = ".deleting-"
LOCKS: Final = ".locks"
INCOMPLETE: Final = ".incomplete"


class Kind(StrEnum):
    """What a repository of the cache is."""

    MODEL = "model"
    DATASET = "dataset"
    SPACE = "space"
    LEFTOVER = "leftover"


_FOLDERS: Final = {
    "models": Kind.MODEL,
    "datasets": Kind.DATASET,
    "spaces": Kind.SPACE,
}


@dataclass(frozen=True)
class CachedModel:
    """
    One repository in the cache, or what an interrupted deletion left of one.

    Args:
        repo_id: Such as ``org/name``.
        kind: What it is.
        size_bytes: Bytes that its files occupy; content that it shares with another
            repository counts for both.
        is_partial: Whether its download did not end, or its files are not consistent.
        path: Its folder.
        last_used_s: When a file of it was last read or written, in seconds since 1970.
    """

    repo_id: str
    kind: Kind
    size_bytes: int
    is_partial: bool
    path: Path
    last_used_s: float

    @property
    def key(self) -> str:
        """What names it among all: the repository; for others than models, longer."""
        if self.kind is Kind.MODEL:
            return self.repo_id
        name = self.path.name if self.kind is Kind.LEFTOVER else self.repo_id
        return f"{self.kind.value}/{name}"


@dataclass(frozen=True)
class DeletionReport:
    """
    What a deletion did.

    Args:
        freed_bytes: Bytes given back by the repository that was named.
        leftover_bytes: Bytes given back by what earlier deletions had left.
        files: How many files and links were removed.
    """

    freed_bytes: int
    leftover_bytes: int
    files: int


def list_cached(settings: Settings) -> tuple[CachedModel, ...]:
    """
    List what is in the cache now, largest first.

    Repositories that are links to another place are not listed: they are not ours.

    Raises:
        CacheError: the folder exists and cannot be read.
    """
    cache = settings.models_dir.resolve()
    folders = _folders(cache)
    whole = _whole_repositories(cache)
    entries = [_describe(cache, folder, whole) for folder in folders]
    found = [entry for entry in entries if entry is not None]
    return tuple(sorted(found, key=lambda item: (-item.size_bytes, item.key)))


def plan_deletion(settings: Settings, key: str) -> CachedModel:
    """
    Find in a fresh listing what a deletion would remove.

    Args:
        settings: Where the cache is.
        key: A repository such as ``org/name``, or another entry's key.
    Raises:
        NotInCache: it is not there; the hint names the most similar entry.
        CacheError: it is a link to another place, or the cache cannot be read.
    """
    listing = list_cached(settings)
    # What an interrupted deletion left is also found by the repository's name.
    entries = {entry.repo_id: entry for entry in listing if entry.kind is Kind.LEFTOVER}
    entries |= {entry.key: entry for entry in listing}
    if key in entries:
        return entries[key]
    if (settings.models_dir / f"models--{key.replace('/', '--')}").is_symlink():
        raise CacheError(
            f"{key} is a link to a folder outside the cache",
            hint="remove the link and that folder by hand",
        )
    similar = difflib.get_close_matches(key, entries, n=1)
    hint = f"did you mean {similar[0]}?" if similar else None
    raise NotInCache(f"{key} is not in the cache", hint=hint)


def delete_model(settings: Settings, key: str) -> DeletionReport:
    """
    Delete a repository from the cache, and what earlier deletions left.

    Raises:
        NotInCache: it is not there.
        DeletionIncomplete: some files could not be removed; it says what was freed.
        CacheError: it is a link to another place, or the cache cannot be read.
    """
    entry = plan_deletion(settings, key)
    cache = settings.models_dir.resolve()
    removed, swept = Tally(), Tally()
    hidden = entry.path if entry.kind is Kind.LEFTOVER else _hide(entry)
    _remove_repository(cache, hidden, removed)
    # Lock files of this repository only, which hold no bytes; others stay.
    remove_folder(cache / LOCKS / entry.path.name, Tally())
    for folder in _folders(cache):
        if folder.name.startswith(LEFTOVER_PREFIX) and folder != hidden:
            _remove_repository(cache, folder, swept)
    if removed.failures:
        raise DeletionIncomplete(
            f"{len(removed.failures)} files of {entry.repo_id} could not be deleted "
            f"({removed.failures[0]}); {removed.freed_bytes} bytes were freed",
            actual_bytes=removed.freed_bytes,
        )
    files = removed.files + swept.files
    return DeletionReport(removed.freed_bytes, swept.freed_bytes, files)


def _remove_repository(cache: Path, folder: Path, tally: Tally) -> None:
    payloads = shared_payloads(cache, folder)
    remove_folder(folder, tally)
    collect_unused(cache, payloads, tally)


def _hide(entry: CachedModel) -> Path:
    number = 1
    while True:
        hidden = entry.path.with_name(f"{LEFTOVER_PREFIX}{number}--{entry.path.name}")
        if not hidden.exists():
            break
        number += 1
    try:
        atomic.move_file(entry.path, hidden)
    except StateWriteFailed as error:
        raise DeletionIncomplete(
            f"{entry.repo_id} could not be deleted: {error.message}", actual_bytes=0
        ) from error
    return hidden


def _folders(cache: Path) -> list[Path]:
    try:
        with os.scandir(cache) as entries:
            names = [
                item.name for item in entries if item.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise CacheError(
            f"cannot read {cache}: {reason}",
            hint="check its owner and permissions, and the disk",
        ) from error
    return [cache / name for name in sorted(names)]


def _whole_repositories(cache: Path) -> frozenset[str]:
    """Return the folders in which huggingface_hub finds consistent revisions."""
    from huggingface_hub import CacheNotFound, scan_cache_dir  # noqa: PLC0415

    try:
        repositories = scan_cache_dir(cache).repos
    except (CacheNotFound, OSError, ValueError):
        return frozenset()
    return frozenset(item.repo_path.name for item in repositories if item.nb_files)


def _describe(cache: Path, folder: Path, whole: frozenset[str]) -> CachedModel | None:
    name = folder.name
    is_leftover = name.startswith(LEFTOVER_PREFIX)
    if is_leftover:
        name = name.partition("--")[2]
    prefix, separator, rest = name.partition("--")
    kind = _FOLDERS.get(prefix)
    if kind is None or not separator or not rest:
        return None
    files = dict(_files(cache, folder))
    return CachedModel(
        repo_id=rest.replace("--", "/"),
        kind=Kind.LEFTOVER if is_leftover else kind,
        size_bytes=sum(size_on_disk(status) for status in files.values()),
        is_partial=folder.name not in whole or _has_incomplete(folder),
        path=folder,
        last_used_s=max(
            (max(item.st_atime, item.st_mtime) for item in files.values()),
            default=folder.stat().st_mtime,
        ),
    )


def _files(
    cache: Path, folder: Path
) -> Iterator[tuple[tuple[int, int], os.stat_result]]:
    """Yield every file of a folder, links into the cache's shared store included."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_symlink() and not path.resolve().is_relative_to(cache):
                continue
            try:
                status = path.stat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield (status.st_dev, status.st_ino), status


def _has_incomplete(folder: Path) -> bool:
    return any((folder / "blobs").glob(f"*{INCOMPLETE}"))

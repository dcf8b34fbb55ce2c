"""
The Hugging Face cache: what is in it, what it occupies, and what is whole.

Sizes are counted per file, however many names it has. Reading follows no link out of
the cache. What deletions do stands in `deletion.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.cache_content import entries_of, parse_folder, read_cache
from vllm_pkg.models.completeness import is_revision_partial, pending_downloads
from vllm_pkg.models.repository_content import SNAPSHOTS
from vllm_pkg.models.uses import read_uses

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from vllm_pkg.models.cache_content import CacheContent, FolderName
    from vllm_pkg.models.repository_content import RepositoryContent, StoredFile
    from vllm_pkg.settings import Settings


class Kind(StrEnum):
    """What a repository of the cache is."""

    MODEL = "model"
    DATASET = "dataset"
    SPACE = "space"
    LEFTOVER = "leftover"


_KINDS: Final = {
    "models": Kind.MODEL,
    "datasets": Kind.DATASET,
    "spaces": Kind.SPACE,
}


@dataclass(frozen=True)
class CachedRevision:
    """
    One revision of a repository in the cache.

    Args:
        commit: Its hash.
        refs: The names under which it was asked for, such as ``main``.
        size_bytes: Bytes that its files occupy.
        own_bytes: Bytes that removing it alone would free: what other revisions or
            models share is not counted.
        files: How many files it has.
        last_modified_s: When the newest of them was written, in seconds since 1970.
        is_partial: Whether files are missing.
    """

    commit: str
    refs: tuple[str, ...]
    size_bytes: int
    own_bytes: int
    files: int
    last_modified_s: float
    is_partial: bool


@dataclass(frozen=True)
class CachedModel:
    """
    One repository in the cache, or what an interrupted deletion left of one.

    Args:
        repo_id: Such as ``org/name``.
        kind: What it is.
        size_bytes: Bytes that its files occupy; content that it shares with another
            repository counts for both.
        own_bytes: Bytes that removing it alone would free.
        is_partial: Whether a download did not end, or a revision lacks files.
        path: Its folder.
        last_used_s: When the engine last started with it or a file of it was written,
            in seconds since 1970. Of what was never started here: when a file of it was
            last read or written.
        revisions: Newest first.
        partial_bytes: Bytes of downloads that did not end.
    """

    repo_id: str
    kind: Kind
    size_bytes: int
    own_bytes: int
    is_partial: bool
    path: Path
    last_used_s: float
    revisions: tuple[CachedRevision, ...] = ()
    partial_bytes: int = 0

    @property
    def key(self) -> str:
        """What names it among all: the repository; for others than models, longer."""
        if self.kind is Kind.MODEL:
            return self.repo_id
        name = self.path.name if self.kind is Kind.LEFTOVER else self.repo_id
        return f"{self.kind.value}/{name}"


def list_cached(settings: Settings) -> tuple[CachedModel, ...]:
    """
    List what is in the cache now, largest first.

    Repositories that are links to another place are not listed: they are not ours.

    Raises:
        CacheError: the folder exists and cannot be read.
    """
    return describe_cache(read_cache(settings), read_uses(settings))


def describe_cache(
    cache: CacheContent, uses: Mapping[str, float]
) -> tuple[CachedModel, ...]:
    """
    Describe every repository, largest first.

    Args:
        cache: What was read.
        uses: When the engine last used each model, as far as that was recorded.
    """
    named = [(parse_folder(name), item) for name, item in cache.repositories.items()]
    found = [
        _describe(cache, item, name, uses.get(name.repo_id))
        for name, item in named
        if name is not None
    ]
    return tuple(sorted(found, key=lambda item: (-item.size_bytes, item.key)))


def _describe(
    cache: CacheContent,
    content: RepositoryContent,
    name: FolderName,
    recorded_s: float | None,
) -> CachedModel:
    kind = Kind.LEFTOVER if name.is_leftover else _KINDS[name.kind]
    found = {cache.file_of(content, path) for path in content.entries}
    files = {file.identity: file for file in found if file is not None}.values()
    revisions = [_revision(cache, content, commit) for commit in content.commits]
    pending = pending_downloads(content)
    return CachedModel(
        repo_id=name.repo_id,
        kind=kind,
        size_bytes=sum(file.size_bytes for file in files),
        own_bytes=cache.freed_bytes(content, content.entries),
        is_partial=not revisions
        or bool(pending or content.unread)
        or kind is Kind.LEFTOVER
        or any(item.is_partial for item in revisions),
        path=cache.path / content.name,
        last_used_s=_last_used_s(
            files, content.changed_s, recorded_s if kind is Kind.MODEL else None
        ),
        revisions=tuple(sorted(revisions, key=lambda item: -item.last_modified_s)),
        partial_bytes=sum(file.size_bytes for file in pending),
    )


def _last_used_s(
    files: Collection[StoredFile], changed_s: float, recorded_s: float | None
) -> float:
    """Return when the engine used it; a file that is newer than that counts, too."""
    if recorded_s is None:
        return max((file.used_s for file in files), default=changed_s)
    return max((recorded_s, *(file.modified_s for file in files)))


def _revision(
    cache: CacheContent, content: RepositoryContent, commit: str
) -> CachedRevision:
    base = f"{SNAPSHOTS}/{commit}"
    names = content.snapshot(commit)
    resolved = {name: cache.file_of(content, f"{base}/{name}") for name in names}
    files = {item.identity: item for item in resolved.values() if item}.values()
    return CachedRevision(
        commit=commit,
        refs=tuple(sorted(name for name, to in content.refs.items() if to == commit)),
        size_bytes=sum(item.size_bytes for item in files),
        own_bytes=cache.freed_bytes(content, entries_of(content, commit)),
        files=len(names),
        last_modified_s=max(
            (item.modified_s for item in files), default=content.changed_s
        ),
        is_partial=is_revision_partial(content, commit, resolved),
    )

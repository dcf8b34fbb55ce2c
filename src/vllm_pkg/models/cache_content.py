"""
The whole Hugging Face cache as it was read, and what removing parts of it would free.

Sizes are counted per file, however many names it has. Reading follows no link.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import CacheError
from vllm_pkg.models.completeness import pending_downloads
from vllm_pkg.models.download.layout import OWN_FOLDER
from vllm_pkg.models.open_folder import open_folder
from vllm_pkg.models.repository_content import (
    BLOBS,
    LEFTOVER_PREFIX,
    REFS,
    SNAPSHOTS,
    RepositoryContent,
    StoredFile,
)
from vllm_pkg.models.repository_reader import read_repository
from vllm_pkg.models.shared_blobs import is_store, payload_of, read_payload

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vllm_pkg.models.open_folder import OpenFolder
    from vllm_pkg.settings import Settings

REVISION_MARK: Final = "@"
_FOLDER_NAME: Final = re.compile(
    rf"(?P<leftover>{re.escape(LEFTOVER_PREFIX)}\d+--)?"
    r"(?P<kind>models|datasets|spaces)--"
    r"(?P<repository>[^@]+)(?P<commit>@.*)?"
)


@dataclass(frozen=True)
class CacheContent:
    """
    The whole cache, as it was read.

    Args:
        path: The cache, without symbolic links in its path.
        repositories: Its repositories and leftovers, by the name of the folder.
        payloads: The files of the store that models share, by hash.
        manifests: Bytes of the lists that go with them.
    """

    path: Path
    repositories: dict[str, RepositoryContent]
    payloads: dict[str, StoredFile]
    manifests: dict[str, int]

    @cached_property
    def users(self) -> dict[str, set[tuple[str, str]]]:
        """The repositories and blobs that lead to each payload."""
        found: dict[str, set[tuple[str, str]]] = {}
        for name, content in self.repositories.items():
            for blob, payload in self.linked(content).items():
                found.setdefault(payload, set()).add((name, blob))
        return found

    def linked(self, content: RepositoryContent) -> dict[str, str]:
        """Return the payloads that a repository's blobs lead to, by blob."""
        links = {blob: payload_of(e.link or "") for blob, e in content.blobs().items()}
        return {blob: item for blob, item in links.items() if item in self.payloads}

    def file_of(self, content: RepositoryContent, path: str) -> StoredFile | None:
        """Return the file to which something in a repository leads in the end."""
        entry = content.entries.get(path)
        if entry is None:
            return None
        if entry.file is not None:
            return entry.file
        if path.startswith(f"{BLOBS}/"):
            return self.payloads.get(payload_of(entry.link or "") or "")
        if entry.blob is None:
            return None
        return self.file_of(content, f"{BLOBS}/{entry.blob}")

    def freed_bytes(self, content: RepositoryContent, paths: Iterable[str]) -> int:
        """
        Return what removing some of a repository's entries would free.

        Files with further names elsewhere are not counted, nor payloads that blobs
        outside of *paths* lead to.
        """
        gone = [content.entries[path] for path in paths]
        files = [entry.file for entry in gone if entry.file is not None]
        removed = Counter(file.identity for file in files)
        whole = {item for item in files if item.names <= removed[item.identity]}
        freed = sum({item.identity: item.size_bytes for item in whole}.values())
        blobs = {entry.path.removeprefix(f"{BLOBS}/") for entry in gone}
        linked = self.linked(content)
        for payload in {linked[blob] for blob in blobs & linked.keys()}:
            file = self.payloads[payload]
            others = self.users[payload] - {(content.name, blob) for blob in blobs}
            # What interrupted deletions left does not keep a payload.
            if any(not name.startswith(LEFTOVER_PREFIX) for name, _ in others):
                continue
            freed += self.manifests[payload]
            freed += file.size_bytes if file.names == 1 else 0
        return freed


@dataclass(frozen=True)
class FolderName:
    """
    What the name of a repository's folder says.

    Args:
        kind: ``models``, ``datasets`` or ``spaces``.
        repo_id: Such as ``org/name``.
        is_leftover: Whether an interrupted deletion left it.
    """

    kind: str
    repo_id: str
    is_leftover: bool


def parse_folder(name: str) -> FolderName | None:
    """Return what the name of a folder says; None: it is no repository's."""
    found = _FOLDER_NAME.fullmatch(name)
    if found is None or (found["commit"] and not found["leftover"]):
        return None
    repo_id = found["repository"].replace("--", "/")
    return FolderName(found["kind"], repo_id, bool(found["leftover"]))


def read_cache(settings: Settings) -> CacheContent:
    """
    Read the whole cache.

    Raises:
        CacheError: the folder exists and cannot be read.
    """
    path = settings.models_dir.resolve()
    try:
        with open_folder(path) as cache:
            read = [read_repository(cache, name) for name in _folders(cache)]
            found = {item.name: item for item in read if item is not None}
            payloads = _payloads(cache, found)
            files = {name: file for name, (file, _) in payloads.items()}
            manifests = {name: size for name, (_, size) in payloads.items()}
            return CacheContent(path, found, files, manifests)
    except FileNotFoundError:
        return CacheContent(path, {}, {}, {})
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> CacheError:
    """Return the error for a cache that cannot be used."""
    return CacheError(
        f"cannot read {path}: {os.strerror(error.errno or 0)}",
        hint="check its owner and permissions, and the disk",
    )


def is_last(content: RepositoryContent, commit: str) -> bool:
    """Whether nothing is left of a repository without that revision."""
    return content.commits == (commit,) and not pending_downloads(content)


def entries_of(content: RepositoryContent, commit: str | None) -> frozenset[str]:
    """
    Return the paths of what goes when a revision is removed; None: the repository.

    With the last revision the repository goes.
    """
    if commit is None or is_last(content, commit):
        return frozenset(content.entries)
    blobs = {f"{BLOBS}/{name}" for name in content.own_blobs(commit)}
    refs = {f"{REFS}/{name}" for name, to in content.refs.items() if to == commit}
    files = {f"{SNAPSHOTS}/{commit}/{name}" for name in content.snapshot(commit)}
    own = {f"{OWN_FOLDER}/{commit}.json"}
    return frozenset((blobs | refs | files | own) & content.entries.keys())


def _folders(cache: OpenFolder) -> list[str]:
    found = []
    for name in cache.names():
        status = cache.status(name)
        if status and stat.S_ISDIR(status.st_mode) and parse_folder(name) is not None:
            found.append(name)
    return found


def _payloads(
    cache: OpenFolder, repositories: dict[str, RepositoryContent]
) -> dict[str, tuple[StoredFile, int]]:
    if not is_store(cache):
        return {}
    found = {}
    for content in repositories.values():
        headed = content.headed_blobs()
        for name, entry in content.blobs().items():
            payload = payload_of(entry.link or "")
            if payload is None:
                continue
            read = read_payload(cache, payload, is_headed=name in headed)
            if read is not None:
                found[payload] = read
    return found

"""
What a repository's folder in the Hugging Face cache holds, as facts without judgement.

A blob is a file in ``blobs/``, or a link into the store that models share; a revision
is a folder in ``snapshots/`` with links to blobs; a reference is a file in ``refs/``
with the commit it stands for.
"""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.quiet_open import is_quiet
from vllm_pkg.models.removal import size_on_disk

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from vllm_pkg.models.open_folder import OpenFolder

BLOBS: Final = "blobs"
SNAPSHOTS: Final = "snapshots"
REFS: Final = "refs"
LOCKS: Final = ".locks"
LEFTOVER_PREFIX: Final = ".deleting-"
INCOMPLETE: Final = ".incomplete"
INDEX: Final = ".safetensors.index.json"
_REF_MAX_BYTES: Final = 200
_JSON_MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class StoredFile:
    """
    A regular file.

    Args:
        identity: Device and inode: two names of one file have the same.
        size_bytes: Bytes of its content that occupy disk.
        names: How many names it has, wherever they are.
        used_s: When it was last read or written, in seconds since 1970.
        modified_s: When it was last written, in seconds since 1970.
    """

    identity: tuple[int, int]
    size_bytes: int
    names: int
    used_s: float
    modified_s: float


@dataclass(frozen=True)
class Entry:
    """
    One thing that is no folder.

    Args:
        path: Where it stands in the repository's folder, such as ``blobs/1f3c``.
        file: What it is, when it is a regular file.
        link: Where it leads, when it is a symbolic link; as it is written.
    """

    path: str
    file: StoredFile | None = None
    link: str | None = None

    @property
    def blob(self) -> str | None:
        """The name of the blob of the same repository to which the link leads."""
        parts = PurePosixPath(self.link or "").parts[-2:]
        is_blob = len(parts) == 2 and parts[0] == BLOBS and parts[1] != ".."  # noqa: PLR2004
        return parts[1] if is_blob else None


@dataclass(frozen=True)
class RepositoryContent:
    """
    All that stands in a repository's folder.

    Args:
        name: The folder's name, such as ``models--org--name``.
        changed_s: When the folder itself was last changed, in seconds since 1970.
        entries: All but folders, by path.
        commits: The names of the folders in ``snapshots/``.
        refs: The commit of each reference.
        shards: Of each index of safetensors by its path, the files that it names; None
            when it cannot be understood.
        has_architecture: The commits whose ``config.json`` names an architecture.
        unread: What could not be read; whatever stands there is not known.
    """

    name: str
    changed_s: float
    entries: dict[str, Entry]
    commits: tuple[str, ...]
    refs: dict[str, str]
    shards: dict[str, frozenset[str] | None]
    has_architecture: frozenset[str]
    unread: tuple[str, ...] = ()

    def blobs(self) -> dict[str, Entry]:
        """Return the blobs by name."""
        return dict(self._below(f"{BLOBS}/"))

    def snapshot(self, commit: str) -> dict[str, Entry]:
        """Return what stands in a revision by its path there."""
        return dict(self._below(f"{SNAPSHOTS}/{commit}/"))

    def blobs_of(self, commit: str) -> frozenset[str]:
        """Return the names of the blobs to which a revision's files lead."""
        names = {entry.blob for entry in self.snapshot(commit).values()}
        return frozenset(name for name in names if name is not None)

    def own_blobs(self, commit: str) -> frozenset[str]:
        """Return the names of the blobs that no other revision needs."""
        others = [self.blobs_of(item) for item in self.commits if item != commit]
        return self.blobs_of(commit).difference(*others)

    def _below(self, prefix: str) -> Iterator[tuple[str, Entry]]:
        for path, entry in self.entries.items():
            if path.startswith(prefix):
                yield path.removeprefix(prefix), entry


def read_repository(cache: OpenFolder, name: str) -> RepositoryContent | None:
    """
    Read what a repository's folder holds; None when there is no such folder.

    What disappears meanwhile is left out; what cannot be read is named.
    """
    try:
        with cache.inside(name) as folder:
            return _Reader(folder, name).content(cache.status(name))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return RepositoryContent(name, 0.0, {}, (), {}, {}, frozenset(), (name,))


def stored_file(status: os.stat_result) -> StoredFile:
    """Return the facts of a regular file."""
    return StoredFile(
        identity=(status.st_dev, status.st_ino),
        size_bytes=size_on_disk(status),
        names=status.st_nlink,
        # Where our own reading would move the access time, that tells nothing.
        used_s=max(status.st_mtime, status.st_atime if is_quiet(status) else 0.0),
        modified_s=status.st_mtime,
    )


class _Reader:
    """Reads one repository."""

    def __init__(self, folder: OpenFolder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._entries: dict[str, Entry] = {}
        self._folders: list[str] = []
        self._unread: list[str] = []

    def content(self, status: os.stat_result | None) -> RepositoryContent:
        """Read all, and return it."""
        self._walk(self._folder, "")
        commits = self._commits()
        return RepositoryContent(
            name=self._name,
            changed_s=0.0 if status is None else status.st_mtime,
            entries=self._entries,
            commits=commits,
            refs=self._refs(),
            shards=self._shards(),
            has_architecture=frozenset(filter(self._has_architecture, commits)),
            unread=tuple(self._unread),
        )

    def _walk(self, folder: OpenFolder, prefix: str) -> None:
        for name in folder.names():
            path = f"{prefix}{name}"
            try:
                self._visit(folder, name, path)
            except FileNotFoundError:
                continue
            except OSError:
                self._unread.append(path)

    def _visit(self, folder: OpenFolder, name: str, path: str) -> None:
        status = folder.status(name)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            self._folders.append(path)
            with folder.inside(name) as deeper:
                self._walk(deeper, f"{path}/")
        elif stat.S_ISLNK(status.st_mode):
            self._entries[path] = Entry(path, link=folder.link(name))
        elif stat.S_ISREG(status.st_mode):
            self._entries[path] = Entry(path, file=stored_file(status))
        else:
            self._entries[path] = Entry(path)

    def _commits(self) -> tuple[str, ...]:
        parents = (path.rpartition("/") for path in self._folders)
        return tuple(name for parent, _, name in parents if parent == SNAPSHOTS)

    def _refs(self) -> dict[str, str]:
        found = {}
        for path in self._entries:
            if not path.startswith(f"{REFS}/"):
                continue
            content = self._read(path, _REF_MAX_BYTES)
            if content is None:
                self._unread.append(path)
            text = (content or b"").decode(errors="replace").strip()
            found[path.removeprefix(f"{REFS}/")] = text
        return found

    def _shards(self) -> dict[str, frozenset[str] | None]:
        return {
            path: self._shards_of(path)
            for path in self._entries
            if path.startswith(f"{SNAPSHOTS}/") and path.endswith(INDEX)
        }

    def _shards_of(self, path: str) -> frozenset[str] | None:
        document = self._json(path)
        weights = document.get("weight_map") if isinstance(document, dict) else None
        if not isinstance(weights, dict):
            return None
        return frozenset(str(name) for name in weights.values())

    def _has_architecture(self, commit: str) -> bool:
        document = self._json(f"{SNAPSHOTS}/{commit}/config.json")
        return isinstance(document, dict) and bool(document.get("architectures"))

    def _json(self, path: str) -> object:
        content = self._read(path, _JSON_MAX_BYTES)
        try:
            return json.loads(content or b"")
        except (ValueError, RecursionError):
            return None

    def _read(self, path: str, size_max_bytes: int) -> bytes | None:
        entry = self._entries.get(path)
        if entry is not None and entry.blob is not None:
            path = f"{BLOBS}/{entry.blob}"
        *folders, name = path.split("/")
        try:
            with self._folder.inside(*folders) as folder:
                return folder.read(name, size_max_bytes)
        except OSError:
            return None

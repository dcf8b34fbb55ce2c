"""
Reading what a repository's folder in the cache holds.

Of files only headers, indexes and configurations are read; no link is followed.
"""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download.hashing import DamagedHeader, announced_length
from vllm_pkg.models.download.layout import OWN_FOLDER
from vllm_pkg.models.download.listing import parse_listing
from vllm_pkg.models.repository_content import (
    BLOBS,
    REFS,
    SNAPSHOTS,
    Entry,
    RepositoryContent,
    stored_file,
)

if TYPE_CHECKING:
    import os

    from vllm_pkg.models.open_folder import OpenFolder
    from vllm_pkg.models.repository_content import StoredFile

_INDEX: Final = ".safetensors.index.json"
_REF_MAX_BYTES: Final = 200
_JSON_MAX_BYTES: Final = 64 * 1024 * 1024


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
        return RepositoryContent(name, 0.0, {}, (), {}, {}, {}, frozenset(), (name,))


def with_header(folder: OpenFolder, name: str, file: StoredFile) -> StoredFile:
    """Return a safetensors file with what its header announces."""
    try:
        with folder.stream(name) as stream:
            announced = announced_length(stream, file.length_bytes)
    except DamagedHeader:
        announced = -1
    except OSError:
        return file
    return replace(file, announced_bytes=announced)


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
        content = RepositoryContent(
            name=self._name,
            changed_s=0.0 if status is None else status.st_mtime,
            entries=self._entries,
            commits=commits,
            refs=self._refs(),
            shards=self._shards(),
            listed=self._listed(commits),
            has_architecture=frozenset(filter(self._has_architecture, commits)),
            unread=tuple(self._unread),
        )
        return replace(content, entries=self._entries | self._headed(content))

    def _headed(self, content: RepositoryContent) -> dict[str, Entry]:
        """Return the files whose headers tell their length, with what they tell."""
        paths = [f"{BLOBS}/{name}" for name in content.headed_blobs()]
        paths += [
            f"{SNAPSHOTS}/{commit}/{name}"
            for commit in content.commits
            for name in content.snapshot(commit)
            if content.is_headed(commit, name)
        ]
        found = {}
        for path in paths:
            entry = self._entries.get(path)
            if entry is not None and entry.file is not None:
                found[path] = self._with_header(entry, entry.file)
        return found

    def _with_header(self, entry: Entry, file: StoredFile) -> Entry:
        *folders, name = entry.path.split("/")
        try:
            with self._folder.inside(*folders) as folder:
                return replace(entry, file=with_header(folder, name, file))
        except OSError:
            return entry

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
            if path.startswith(f"{SNAPSHOTS}/") and path.endswith(_INDEX)
        }

    def _shards_of(self, path: str) -> frozenset[str] | None:
        document = self._json(path)
        weights = document.get("weight_map") if isinstance(document, dict) else None
        if not isinstance(weights, dict):
            return None
        return frozenset(str(name) for name in weights.values())

    def _listed(self, commits: tuple[str, ...]) -> dict[str, dict[str, int]]:
        found = {}
        for commit in commits:
            content = self._read(f"{OWN_FOLDER}/{commit}.json", _JSON_MAX_BYTES)
            listing = parse_listing(content or b"")
            if listing is not None:
                files = listing.select(sorted(listing.wanted))
                found[commit] = {file.name: file.size_bytes for file in files}
        return found

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

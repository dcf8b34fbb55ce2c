"""A folder on disk as the repository of a model on the Hub."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".gguf", ".model")


@dataclass(frozen=True)
class HubFile:
    """
    One file of a repository.

    Args:
        name: Its path in the repository.
        path: Where its content is.
        size_bytes: Length of its content.
        blob_id: Git's hash of what the repository itself holds: the content, or for a
            large file the pointer to it.
        sha256: Hash of a large file's content; None: the repository holds the content.
    """

    name: str
    path: Path
    size_bytes: int
    blob_id: str
    sha256: str | None

    @property
    def etag(self) -> str:
        """What names the content: what a cache names its blob after."""
        return self.sha256 or self.blob_id

    def as_tree_entry(self, *, has_xet: bool) -> dict[str, object]:
        """Return the entry of a tree listing."""
        entry: dict[str, object] = {
            "type": "file",
            "oid": self.blob_id,
            "size": self.size_bytes,
            "path": self.name,
        }
        if self.sha256:
            entry["lfs"] = {
                "oid": self.sha256,
                "size": self.size_bytes,
                "pointerSize": 134,
            }
            if has_xet:
                entry["xetHash"] = self.sha256
        return entry

    def as_sibling(self) -> dict[str, object]:
        """Return the entry among a model's files, sizes included."""
        entry: dict[str, object] = {
            "rfilename": self.name,
            "size": self.size_bytes,
            "blobId": self.blob_id,
        }
        if self.sha256:
            entry["lfs"] = {
                "sha256": self.sha256,
                "size": self.size_bytes,
                "pointerSize": 134,
            }
        return entry


@dataclass
class HubRepository:
    """
    A repository that the test Hub serves.

    Args:
        repo_id: Such as ``org/name``.
        folders: Folder of each branch or tag.
        is_gated: Whether reading files needs an accepted licence.
        is_private: Whether it is hidden from those who were not let in.
        has_xet: Whether large files are offered through Xet too.
    """

    repo_id: str
    folders: dict[str, Path]
    is_gated: bool = False
    is_private: bool = False
    has_xet: bool = False
    _files: dict[Path, dict[str, HubFile]] = field(default_factory=dict)

    def commit(self, revision: str) -> str | None:
        """Return the commit that a branch, tag or commit hash means; None if none."""
        for name, folder in self.folders.items():
            found = _commit(self.files_in(folder))
            if revision in {name, found}:
                return found
        return None

    def files(self, revision: str) -> dict[str, HubFile]:
        """Return the files of a revision that exists, by name."""
        for name, folder in self.folders.items():
            files = self.files_in(folder)
            if revision in {name, _commit(files)}:
                return files
        raise KeyError(revision)

    def files_in(self, folder: Path) -> dict[str, HubFile]:
        """Return the files of a folder as they were when it was read first."""
        if folder not in self._files:
            self._files[folder] = {
                path.relative_to(folder).as_posix(): _describe(folder, path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
        return self._files[folder]

    def parameters(self, revision: str) -> dict[str, int]:
        """Return the number of parameters per type, from the safetensors headers."""
        counts: dict[str, int] = {}
        for file in self.files(revision).values():
            if file.name.endswith(".safetensors"):
                _count_parameters(file.path, counts)
        return counts


def _describe(folder: Path, path: Path) -> HubFile:
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    if not name.endswith(LFS_SUFFIXES):
        return HubFile(name, path, len(content), _git_hash(content), None)
    sha256 = hashlib.sha256(content).hexdigest()
    pointer = (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{sha256}\nsize {len(content)}\n"
    )
    return HubFile(name, path, len(content), _git_hash(pointer.encode()), sha256)


def _git_hash(content: bytes) -> str:
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content).hexdigest()  # noqa: S324  # git's own


def _commit(files: dict[str, HubFile]) -> str:
    text = "\n".join(f"{file.blob_id} {file.name}" for file in files.values())
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324  # looks like git's


def _count_parameters(path: Path, counts: dict[str, int]) -> None:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for side in tensor["shape"]:
                size *= side
            counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + size

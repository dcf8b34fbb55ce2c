"""What the Hub says is in a repository, as a value that can be kept. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

VERSION: Final = 1
_ETAG: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """
    One file of a repository.

    Args:
        name: Its path in the repository.
        size_bytes: Length of its content.
        etag: What names its content: of a large file the SHA-256, else Git's hash.
        xet_hash: What names it in Xet storage; None: it is not there.
    """

    name: str
    size_bytes: int
    etag: str
    xet_hash: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "size_bytes": self.size_bytes,
            "etag": self.etag,
            "xet_hash": self.xet_hash,
        }


@dataclass(frozen=True)
class Listing:
    """
    The files of one commit of a repository.

    Args:
        repo_id: Such as ``org/name``.
        commit: The commit's hash.
        files: Every file.
        wanted: Names of those that were asked for so far.
    """

    repo_id: str
    commit: str
    files: tuple[RemoteFile, ...]
    wanted: frozenset[str] = frozenset()

    @property
    def sizes_bytes(self) -> dict[str, int]:
        """Size of each file, by name."""
        return {file.name: file.size_bytes for file in self.files}

    def select(self, names: Collection[str]) -> tuple[RemoteFile, ...]:
        """Return the files of these names, in the order of the names."""
        by_name = {file.name: file for file in self.files}
        return tuple(by_name[name] for name in names if name in by_name)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "version": VERSION,
            "repo_id": self.repo_id,
            "commit": self.commit,
            "files": [file.as_json() for file in self.files],
            "wanted": sorted(self.wanted),
        }


def parse_listing(data: bytes) -> Listing | None:
    """Understand a kept listing; None: it is damaged, or of another version."""
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            return None
        return Listing(
            repo_id=str(document["repo_id"]),
            commit=str(document["commit"]),
            files=tuple(parse_file(entry) for entry in document["files"]),
            wanted=frozenset(str(name) for name in document["wanted"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def parse_file(entry: Mapping[str, Any]) -> RemoteFile:
    """
    Understand one file of a listing.

    Raises:
        ValueError: its name leaves the repository, or its ETag is no hash: both become
            parts of paths.
        KeyError: something is missing.
        TypeError: it is no entry at all.
    """
    name, etag = str(entry["name"]), str(entry["etag"])
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"not the name of a file in a repository: {name!r}")
    if not _ETAG.fullmatch(etag):
        raise ValueError(f"not a hash: {etag!r}")
    xet_hash = entry.get("xet_hash")
    return RemoteFile(
        name, int(entry["size_bytes"]), etag, str(xet_hash) if xet_hash else None
    )


def parse_index(data: bytes) -> frozenset[str] | None:
    """Return the files that an index of weights names; None: it names none."""
    try:
        names = frozenset(str(name) for name in json.loads(data)["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return names or None

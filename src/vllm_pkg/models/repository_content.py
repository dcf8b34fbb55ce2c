"""
What a repository's folder in the Hugging Face cache holds, as facts without judgement.

A blob is a file in ``blobs/``, or a link into the store that models share; a revision
is a folder in ``snapshots/`` with links to blobs; a reference is a file in ``refs/``
with the commit it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.quiet_open import is_quiet
from vllm_pkg.models.removal import size_on_disk

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

BLOBS: Final = "blobs"
SNAPSHOTS: Final = "snapshots"
REFS: Final = "refs"
LOCKS: Final = ".locks"
LEFTOVER_PREFIX: Final = ".deleting-"
INCOMPLETE: Final = ".incomplete"
_SAFETENSORS: Final = ".safetensors"


@dataclass(frozen=True)
class StoredFile:
    """
    A regular file.

    Args:
        identity: Device and inode: two names of one file have the same.
        size_bytes: Bytes of its content that occupy disk.
        length_bytes: Length of its content.
        names: How many names it has, wherever they are.
        used_s: When it was last read or written, in seconds since 1970.
        modified_s: When it was last written, in seconds since 1970.
        announced_bytes: How long it has to be by its own header, which is read of
            safetensors; -1: the header is damaged; None: it has none that was read.
    """

    identity: tuple[int, int]
    size_bytes: int
    length_bytes: int
    names: int
    used_s: float
    modified_s: float
    announced_bytes: int | None = None


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
        listed: Of each commit that this package has fetched, the length of each file
            that was asked for, as the Hub listed it.
        has_architecture: The commits whose ``config.json`` names an architecture.
        unread: What could not be read; whatever stands there is not known.
    """

    name: str
    changed_s: float
    entries: dict[str, Entry]
    commits: tuple[str, ...]
    refs: dict[str, str]
    shards: dict[str, frozenset[str] | None]
    listed: dict[str, dict[str, int]]
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

    def headed_blobs(self) -> frozenset[str]:
        """Return the names of the blobs whose length only their header can tell."""
        return frozenset(
            entry.blob
            for commit in self.commits
            for name, entry in self.snapshot(commit).items()
            if entry.blob is not None and self.is_headed(commit, name)
        )

    def is_headed(self, commit: str, name: str) -> bool:
        """Whether only the header of a revision's file can tell its length."""
        is_listed = name in self.listed.get(commit, {})
        return name.endswith(_SAFETENSORS) and not is_listed

    def own_blobs(self, commit: str) -> frozenset[str]:
        """Return the names of the blobs that no other revision needs."""
        others = [self.blobs_of(item) for item in self.commits if item != commit]
        return self.blobs_of(commit).difference(*others)

    def _below(self, prefix: str) -> Iterator[tuple[str, Entry]]:
        for path, entry in self.entries.items():
            if path.startswith(prefix):
                yield path.removeprefix(prefix), entry


def stored_file(status: os.stat_result) -> StoredFile:
    """Return the facts of a regular file."""
    return StoredFile(
        identity=(status.st_dev, status.st_ino),
        size_bytes=size_on_disk(status),
        length_bytes=status.st_size,
        names=status.st_nlink,
        # Where our own reading would move the access time, that tells nothing.
        used_s=max(status.st_mtime, status.st_atime if is_quiet(status) else 0.0),
        modified_s=status.st_mtime,
    )

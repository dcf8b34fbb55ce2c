"""
Where the files of a repository stand in the cache: huggingface_hub's own layout.

``blobs/<etag>`` is the content, ``snapshots/<commit>/<name>`` a link to it and
``refs/<branch>`` holds the branch's commit. What has arrived of a blob is
``blobs/<etag>.incomplete``. Our own is only ``.vllm-pkg``: what the Hub listed,
and how much of arriving content is known to be on the disk.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download.listing import parse_listing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vllm_pkg.models.download.listing import Listing, RemoteFile

PARTIAL_SUFFIX: Final = ".incomplete"
OWN_FOLDER: Final = ".vllm-pkg"
_COMMIT: Final = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class RepositoryFolder:
    """
    The folder of one repository.

    Args:
        cache: The cache's folder.
        repo_id: Such as ``org/name``.
    """

    cache: Path
    repo_id: str

    @property
    def name(self) -> str:
        """Name of the folder."""
        return f"models--{self.repo_id.replace('/', '--')}"

    @property
    def path(self) -> Path:
        """The folder."""
        return self.cache / self.name

    @property
    def own_path(self) -> Path:
        """The folder of what is ours alone."""
        return self.path / OWN_FOLDER

    def blob(self, etag: str) -> Path:
        """Return where content is."""
        return self.path / "blobs" / etag

    def partial(self, etag: str) -> Path:
        """Return where content arrives."""
        return self.path / "blobs" / f"{etag}{PARTIAL_SUFFIX}"

    def lock(self, etag: str) -> Path:
        """Return the lock that huggingface_hub takes for that content."""
        return self.cache / ".locks" / self.name / f"{etag}.lock"

    def snapshot(self, commit: str) -> Path:
        """Return the folder in which a commit's files appear."""
        return self.path / "snapshots" / commit

    def pointer(self, commit: str, name: str) -> Path:
        """Return where a file of a commit appears."""
        return self.snapshot(commit) / name

    def ref(self, revision: str) -> Path:
        """Return the file that says which commit a branch or tag is."""
        return self.path / "refs" / revision

    def listing_file(self, commit: str) -> Path:
        """Return where it is kept what the Hub listed for a commit."""
        return self.own_path / f"{commit}.json"

    def sync_record(self, etag: str) -> Path:
        """Return where it is kept how much of arriving content is on the disk."""
        return self.own_path / f"{etag}.synced"

    def commit_of(self, revision: str) -> str | None:
        """Return the commit that a revision is here; None: it was never fetched."""
        if _COMMIT.fullmatch(revision):
            return revision
        with contextlib.suppress(OSError, UnicodeDecodeError):
            commit = self.ref(revision).read_text(encoding="ascii").strip()
            return commit if _COMMIT.fullmatch(commit) else None
        return None

    def kept_listing(self, commit: str) -> Listing | None:
        """Return what the Hub listed for a commit; None: it is not known here."""
        try:
            return parse_listing(self.listing_file(commit).read_bytes())
        except OSError:
            return None

    def has_file(self, commit: str, file: RemoteFile) -> bool:
        """Whether a file is there with the size that the Hub names."""
        return size_of(self.pointer(commit, file.name)) == file.size_bytes

    def arrived_bytes(self, file: RemoteFile) -> int:
        """Return how much of a file's content is on the disk, whole or not."""
        whole = size_of(self.blob(file.etag))
        if whole == file.size_bytes:
            return whole
        return min(size_of(self.partial(file.etag)) or 0, file.size_bytes)


def is_commit(revision: str) -> bool:
    """Whether a revision is a commit's full hash."""
    return bool(_COMMIT.fullmatch(revision))


def arrived_bytes(folder: RepositoryFolder, files: Iterable[RemoteFile]) -> int:
    """Return how much of some files is on the disk; equal content counts per file."""
    return sum(folder.arrived_bytes(file) for file in files)


def size_of(path: Path) -> int | None:
    """Return a file's size, links followed; None: it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return None

"""
Whether the files in the cache are what the Hub said, and fetching again what is not.

Sizes and safetensors headers are read at once; all content is read only when asked to.
In the cache a file's content is named after its hash, so that needs no network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import NotInCache
from vllm_pkg.models.download.hashing import digest_for, hash_file, header_problem
from vllm_pkg.models.download.layout import RepositoryFolder, is_commit, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vllm_pkg.settings import Settings

_HASH: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_PREFIX: Final = "models--"
_SAFETENSORS: Final = ".safetensors"


class FileState(StrEnum):
    """What a check has found."""

    OK = "ok"
    MISSING = "missing"
    WRONG_SIZE = "wrong-size"
    WRONG_HEADER = "wrong-header"
    WRONG_HASH = "wrong-hash"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class FileCheck:
    """
    What was found about one file.

    Args:
        repo_id: The repository.
        commit: The commit.
        name: The file.
        size_bytes: What it has to be; what it is where nobody knows.
        state: What was found.
        detail: More about it, for people; may be empty.
    """

    repo_id: str
    commit: str
    name: str
    size_bytes: int
    state: FileState = FileState.OK
    detail: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.state is FileState.OK

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "repository": self.repo_id,
            "commit": self.commit,
            "file": self.name,
            "size_bytes": self.size_bytes,
            "state": str(self.state),
            "detail": self.detail,
        }


def verify_models(
    settings: Settings,
    repo_id: str | None,
    *,
    is_full: bool,
    on_checked: Callable[[str, int], None],
) -> tuple[FileCheck, ...]:
    """
    Check the files of one repository, or of all.

    Args:
        settings: Where the cache is.
        repo_id: The repository; None: every one.
        is_full: Whether to read all content, and not only sizes and headers.
        on_checked: Told a file's name and how many more bytes of it were read.
    Returns:
        One result per file of each revision in the cache.
    Raises:
        NotInCache: there is no such repository in the cache.
    """
    repositories = [repo_id] if repo_id else _cached(settings.models_dir)
    checks = []
    for name in repositories:
        folder = RepositoryFolder(settings.models_dir, name)
        commits = _commits(folder)
        if repo_id and not commits:
            raise NotInCache(
                f"{repo_id} is not in the cache", hint=f"vllm-pkg model pull {repo_id}"
            )
        for commit in commits:
            checks += [
                check_file(folder, commit, file, is_full=is_full, on_checked=on_checked)
                for file in expected_files(folder, commit)
            ]
    return tuple(checks)


def expected_files(folder: RepositoryFolder, commit: str) -> Iterator[FileCheck]:
    """
    Yield what has to be there of a commit, as checks that nobody has made.

    That is what was asked for. Of what others have put into the cache nobody knows it:
    then it is what is there.
    """
    listing = folder.kept_listing(commit)
    if listing is not None:
        for file in listing.select(sorted(listing.wanted)):
            yield FileCheck(folder.repo_id, commit, file.name, file.size_bytes)
        return
    snapshot = folder.snapshot(commit)
    for path in sorted(snapshot.rglob("*")):
        if path.is_symlink() or path.is_file():
            name = path.relative_to(snapshot).as_posix()
            # A link to a folder is none of ours.
            if not path.is_dir():
                yield FileCheck(folder.repo_id, commit, name, size_of(path) or 0)


def check_file(
    folder: RepositoryFolder,
    commit: str,
    file: FileCheck,
    *,
    is_full: bool,
    on_checked: Callable[[str, int], None],
) -> FileCheck:
    """
    Check one file.

    Args:
        folder: The repository's folder.
        commit: The commit.
        file: What has to be there.
        is_full: Whether to read all content.
        on_checked: Told the file's name and how many more bytes of it were read.
    """
    path = folder.pointer(commit, file.name)
    state, detail = _find(path, file, is_full=is_full, on_checked=on_checked)
    return FileCheck(
        file.repo_id, commit, file.name, file.size_bytes, state, detail or ""
    )


def _find(
    path: Path,
    file: FileCheck,
    *,
    is_full: bool,
    on_checked: Callable[[str, int], None],
) -> tuple[FileState, str | None]:
    size_bytes = size_of(path)
    if size_bytes is None:
        return FileState.MISSING, None
    if size_bytes != file.size_bytes:
        detail = f"{size_bytes} bytes instead of {file.size_bytes}"
        return FileState.WRONG_SIZE, detail
    problem = header_problem(path) if path.name.endswith(_SAFETENSORS) else None
    if problem:
        return FileState.WRONG_HEADER, problem
    etag = path.readlink().name if path.is_symlink() else ""
    if is_full and _HASH.fullmatch(etag):
        digest = digest_for(etag, size_bytes)
        try:
            hash_file(path, digest, lambda read: on_checked(file.name, read))
        except OSError as error:
            return FileState.UNREADABLE, error.strerror
        if digest.hexdigest() != etag:
            return FileState.WRONG_HASH, None
    return FileState.OK, None


def _cached(cache: Path) -> list[str]:
    try:
        names = sorted(path.name for path in cache.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    return [
        name.removeprefix(_PREFIX).replace("--", "/")
        for name in names
        if name.startswith(_PREFIX)
    ]


def _commits(folder: RepositoryFolder) -> list[str]:
    snapshots = folder.snapshot("")
    if not snapshots.is_dir():
        return []
    return sorted(path.name for path in snapshots.iterdir() if is_commit(path.name))

"""
The store in which newer huggingface_hub keeps content that several models share.

A model's blob is then a link to ``blobs/<2 hex digits>/<hash>`` in the cache; removing
the model alone would free nothing. A payload is removed when no link in the cache leads
to it any more, under the lock that huggingface_hub takes for it.
Source: huggingface_hub 2.4, ``utils/_shared_blobs.py``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.removal import size_on_disk
from vllm_pkg.models.repository_content import BLOBS, LEFTOVER_PREFIX, stored_file
from vllm_pkg.models.repository_reader import with_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vllm_pkg.models.open_folder import OpenFolder
    from vllm_pkg.models.removal import Tally
    from vllm_pkg.models.repository_content import StoredFile

_MARKER: Final = ".huggingface-shared-blobs"
_MANIFEST: Final = ".refs"
_HASH: Final = re.compile("[0-9a-f]{64}")
_LOCK: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def payload_of(link: str) -> str | None:
    """
    Return the hash of the payload that a blob leads to.

    Only the end of the link decides: to take a link for one into the store too often
    keeps a payload, to take it too seldom would lose one.

    Args:
        link: Where the blob leads, as it is written.
    """
    parts = PurePosixPath(link).parts[-3:]
    if len(parts) == 3 and parts[0] == BLOBS and _HASH.fullmatch(parts[2]):  # noqa: PLR2004
        return parts[2] if parts[1] == parts[2][:2] else None
    return None


def is_store(cache: OpenFolder) -> bool:
    """Whether the cache has a store that huggingface_hub made."""
    try:
        with cache.inside(BLOBS) as store:
            marker = store.status(_MARKER)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return marker is not None and stat.S_ISREG(marker.st_mode)


def read_payload(
    cache: OpenFolder, payload: str, *, is_headed: bool
) -> tuple[StoredFile, int] | None:
    """
    Return a payload's file and the bytes of the list of its users.

    Args:
        cache: The cache.
        payload: Its hash.
        is_headed: Whether its header is to tell its length.
    Returns:
        None when there is no such file.
    """
    try:
        with cache.inside(BLOBS, payload[:2]) as folder:
            status = folder.status(payload)
            manifest = folder.status(f"{payload}{_MANIFEST}")
            if status is None or not stat.S_ISREG(status.st_mode):
                return None
            file = stored_file(status)
            if is_headed:
                file = with_header(folder, payload, file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return file, 0 if manifest is None else size_on_disk(manifest)


def linked_payloads(cache: OpenFolder, repository: str) -> frozenset[str]:
    """
    Return the payloads that a repository's blobs lead to.

    Raises:
        OSError: its blobs cannot be read.
    """
    if not is_store(cache):
        return frozenset()
    return frozenset(_payloads(cache, repository))


def collect_unused(cache: OpenFolder, payloads: Iterable[str], tally: Tally) -> None:
    """
    Remove those payloads to which no blob of the cache leads any more.

    Blobs of what interrupted deletions left do not count: they are to go.

    Args:
        cache: The cache.
        payloads: Hashes, from `linked_payloads`.
        tally: Is added to.
    """
    for payload in sorted(payloads):
        try:
            with cache.inside(BLOBS, payload[:2]) as folder, _locked(folder, payload):
                if not _is_used(cache, payload):
                    _remove(folder, payload, tally)
        except FileNotFoundError:
            continue
        except OSError as error:
            tally.add_failure(payload, error)


def _remove(folder: OpenFolder, payload: str, tally: Tally) -> None:
    """Remove the list of its users first: without the payload nobody looks for it."""
    for name in (f"{payload}{_MANIFEST}", payload):
        status = folder.status(name)
        if status is not None and stat.S_ISREG(status.st_mode):
            folder.unlink(name)
            tally.add_file(status)


def _is_used(cache: OpenFolder, payload: str) -> bool:
    return any(
        payload in _payloads(cache, name)
        for name in cache.names()
        if not name.startswith(LEFTOVER_PREFIX)
    )


def _payloads(cache: OpenFolder, repository: str) -> Iterator[str]:
    try:
        with cache.inside(repository, BLOBS) as blobs:
            for name in blobs.names():
                status = blobs.status(name)
                if status is not None and stat.S_ISLNK(status.st_mode):
                    payload = payload_of(blobs.link(name))
                    if payload is not None:
                        yield payload
    except (FileNotFoundError, NotADirectoryError):
        # No repository. Any other error must not make a payload look unused.
        return


@contextlib.contextmanager
def _locked(folder: OpenFolder, payload: str) -> Iterator[None]:
    descriptor = os.open(f"{payload}.lock", _LOCK, 0o666, dir_fd=folder.descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

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
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.removal import Tally, size_on_disk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

STORE: Final = "blobs"
_MARKER: Final = ".huggingface-shared-blobs"
_HASH: Final = re.compile("[0-9a-f]{64}")


def shared_payloads(cache: Path, repository: Path) -> frozenset[Path]:
    """
    Return the payloads of the store that a repository's blobs are links to.

    Args:
        cache: The cache, without symbolic links in its path.
        repository: A repository's folder directly inside it.
    """
    if not (cache / STORE / _MARKER).is_file():
        return frozenset()
    targets = (_payload(cache, blob) for blob in _blobs(repository))
    return frozenset(target for target in targets if target is not None)


def collect_unused(cache: Path, payloads: Iterable[Path], tally: Tally) -> None:
    """
    Remove those payloads to which no blob in the cache is a link any more.

    Args:
        cache: The cache, without symbolic links in its path.
        payloads: What `shared_payloads` returned before repositories were removed.
        tally: Is added to.
    """
    for payload in payloads:
        try:
            with _locked(payload):
                if not _is_used(cache, payload):
                    _remove(payload, tally)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            tally.failures.append(f"{payload.name}: {reason}")


def _remove(payload: Path, tally: Tally) -> None:
    status = payload.lstat()
    payload.unlink()
    payload.with_name(f"{payload.name}.refs").unlink(missing_ok=True)
    tally.files += 1
    if status.st_nlink == 1:
        tally.freed_bytes += size_on_disk(status)


def _is_used(cache: Path, payload: Path) -> bool:
    return any(
        _payload(cache, blob) == payload
        for folder in cache.iterdir()
        if folder.is_dir() and not folder.is_symlink()
        for blob in _blobs(folder)
    )


def _blobs(repository: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (repository / "blobs").iterdir()


def _payload(cache: Path, blob: Path) -> Path | None:
    if not blob.is_symlink():
        return None
    target = (blob.parent / blob.readlink()).resolve()
    is_payload = (
        target.parent.parent == cache / STORE
        and _HASH.fullmatch(target.name)
        and target.parent.name == target.name[:2]
        and target.is_file()
    )
    return target if is_payload else None


@contextlib.contextmanager
def _locked(payload: Path) -> Iterator[None]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(payload.with_name(f"{payload.name}.lock"), flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

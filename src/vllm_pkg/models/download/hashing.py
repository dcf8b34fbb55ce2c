"""Whether a file's content is what its name says: hashes, and safetensors headers."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from vllm_pkg.models.quiet_open import quiet_stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.models.download.listing import RemoteFile

CHUNK_BYTES: Final = 1024**2
_LENGTH_BYTES: Final = 8
# The format's own limit (safetensors, ``MAX_HEADER_SIZE``).
_HEADER_MAX_BYTES: Final = 100_000_000
_SHA256_LENGTH: Final = 64


class Digest(Protocol):
    """What of a hash is needed."""

    def update(self, data: bytes, /) -> None:
        """Take more content."""
        ...

    def hexdigest(self) -> str:
        """Return the hash of all that was taken."""
        ...


def new_digest(file: RemoteFile) -> Digest:
    """Return an empty hash of the kind that the file's ETag is."""
    return digest_for(file.etag, file.size_bytes)


def digest_for(etag: str, size_bytes: int) -> Digest:
    """
    Return an empty hash of the kind that an ETag is.

    Args:
        etag: SHA-256 of a large file, or Git's hash of one in the repository itself.
        size_bytes: Length of the content; it is part of Git's hash.
    """
    if len(etag) == _SHA256_LENGTH:
        return hashlib.sha256()
    # Git's own; it finds damage, and nobody relies on it for more.
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % size_bytes)
    return digest


def hash_file(path: Path, digest: Digest, on_bytes: Callable[[int], None]) -> None:
    """
    Feed a file's content to a hash.

    Args:
        path: The file.
        digest: Takes the content.
        on_bytes: Told how much was read, again and again.
    Raises:
        OSError: the file cannot be read.
    """
    with quiet_stream(path) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            on_bytes(len(chunk))


class DamagedHeader(Exception):
    """A safetensors file has no header that can be understood; the text says why."""


def announced_length(stream: BinaryIO, size_bytes: int) -> int:
    """
    Return how long a safetensors file has to be, by its header; nothing else is read.

    Args:
        stream: The file, at its beginning.
        size_bytes: How long it is.
    Raises:
        DamagedHeader: it does not tell.
        OSError: the file cannot be read.
    """
    header_bytes = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    if header_bytes > min(_HEADER_MAX_BYTES, size_bytes - _LENGTH_BYTES):
        raise DamagedHeader("its header is longer than the file")
    try:
        header = json.loads(stream.read(header_bytes))
        ends = [
            int(tensor["data_offsets"][1])
            for name, tensor in header.items()
            if name != "__metadata__"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DamagedHeader("its header is damaged") from error
    return _LENGTH_BYTES + header_bytes + max(ends, default=0)


def header_problem(path: Path) -> str | None:
    """
    Return what is wrong with a safetensors file as far as its header tells.

    It reads the header only: the file must be exactly as long as the header says.

    Returns:
        What is wrong; None: nothing.
    """
    try:
        with quiet_stream(path) as stream:
            size_bytes = os.fstat(stream.fileno()).st_size
            expected_bytes = announced_length(stream, size_bytes)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except DamagedHeader as error:
        return str(error)
    if size_bytes != expected_bytes:
        return f"it has {size_bytes} bytes instead of {expected_bytes}"
    return None

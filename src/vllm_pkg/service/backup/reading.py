"""
Reading a backup: every member against the list that stands first, byte by byte.

The archive is read once, from its beginning to its end, and nothing of tarfile writes:
what a member is called, what it is and where a link leads comes from the list alone,
which has been checked, and the archive must say the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
from typing import TYPE_CHECKING, Final, Protocol

from vllm_pkg.service.backup.contents import (
    LIST_MAX_BYTES,
    LIST_NAME,
    STATE_NAMES,
    parse_contents,
)
from vllm_pkg.service.backup.errors import BackupDamaged, BackupError
from vllm_pkg.service.backup.state_check import check_state
from vllm_pkg.service.backup.summary import Tally
from vllm_pkg.state import documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vllm_pkg.service.backup.contents import Contents, Member
    from vllm_pkg.service.backup.summary import Progress

CHUNK_BYTES: Final = 1024 * 1024
_FILE_TYPES: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})
# What tarfile raises on bytes that are no archive, beside its own errors.
_NO_ARCHIVE: Final = (
    *(tarfile.TarError, ValueError, TypeError, EOFError),
    *(OverflowError, IndexError, KeyError, MemoryError, RecursionError),
)


class Sink(Protocol):
    """Who takes what is in a backup; what it was given counts only after the end."""

    def begin(self, contents: Contents) -> None:
        """Take the list."""
        ...

    def file(self, member: Member, chunks: Iterator[bytes]) -> None:
        """Take the content of a file of a model; all of it has to be read."""
        ...

    def link(self, member: Member) -> None:
        """Take a link of a model."""
        ...


class Drain:
    """Takes everything and keeps nothing."""

    def begin(self, contents: Contents) -> None:
        """Take the list."""

    def file(self, member: Member, chunks: Iterator[bytes]) -> None:
        """Read the content, which checks it."""
        del member
        for _ in chunks:
            pass

    def link(self, member: Member) -> None:
        """Take a link."""


def read_list(source: Path, program: str) -> tuple[Contents, dict[str, bytes]]:
    """
    Read the list and the state of a backup, and no model.

    Args:
        source: The backup.
        program: Version of this program.
    Raises:
        BackupError: see `read_backup`.
    """
    with _opened(source) as tar:
        contents = _read_contents(tar, program)
        state = {}
        for member in contents.members:
            if member.path not in STATE_NAMES:
                break
            state[member.path] = _read_state(tar, member)
        return contents, state


def read_backup(
    source: Path, program: str, sink: Sink, progress: Progress
) -> tuple[Contents, dict[str, bytes]]:
    """
    Read a backup to its end and check all of it.

    Args:
        source: The backup.
        program: Version of this program.
        sink: Takes the models.
        progress: Is told how many bytes are done, of how many.
    Returns:
        The list, and the content of each file of the state.
    Raises:
        BackupDamaged: it is no backup, or something in it is not what was written.
        BackupNewer: a newer program wrote it.
        BackupError: it cannot be read.
    """
    with _opened(source) as tar:
        contents = _read_contents(tar, program)
        sink.begin(contents)
        tally = Tally(contents.size_bytes, progress)
        state = {}
        for member in contents.members:
            if member.path in STATE_NAMES:
                state[member.path] = _read_state(tar, member)
                tally.advance(member.size_bytes)
            else:
                _read_model_file(tar, member, sink, tally)
        with _understanding():
            is_over = tar.next() is None
        if not is_over:
            raise BackupDamaged("it goes on after all that it lists")
        return contents, state


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(source.open("rb"))
            with _understanding():
                tar = stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))
        except OSError as error:
            raise _unreadable(source, error) from error
        yield tar


@contextlib.contextmanager
def _understanding() -> Iterator[None]:
    """Call everything damage that tarfile makes of bytes that are no archive."""
    try:
        yield
    except _NO_ARCHIVE as error:
        raise BackupDamaged("it is no archive, or a damaged one") from error
    except OSError as error:
        # tarfile raises it, without a number, for an archive that ends too early.
        if error.errno is None:
            raise BackupDamaged("it ends too early") from error
        raise BackupError(
            f"cannot read the backup: {os.strerror(error.errno)}",
            hint="check the disk it is on",
        ) from error


def _unreadable(source: Path, error: OSError) -> BackupError:
    return BackupError(
        f"cannot read {source}: {os.strerror(error.errno or 0)}",
        hint="check its name, its owner and its permissions",
    )


def _read_contents(tar: tarfile.TarFile, program: str) -> Contents:
    header = _next_header(tar)
    is_list = header.name == LIST_NAME and header.type in _FILE_TYPES
    if not is_list or header.size > LIST_MAX_BYTES:
        raise BackupDamaged("it is no backup of vllm-pkg")
    return parse_contents(b"".join(_chunks(tar, header)), program)


def _read_state(tar: tarfile.TarFile, member: Member) -> bytes:
    data = b"".join(_checked(tar, member))
    try:
        check_state(member.path, data)
    except documents.Malformed as error:
        raise BackupDamaged(f"{member.path} in it is damaged: {error}") from error
    return data


def _read_model_file(
    tar: tarfile.TarFile, member: Member, sink: Sink, tally: Tally
) -> None:
    if member.link is None:
        sink.file(member, _counted(_checked(tar, member), tally))
        return
    header = _next_header(tar)
    is_same = (header.name, header.linkname) == (member.path, member.link)
    if header.type != tarfile.SYMTYPE or header.size or not is_same:
        raise _another(member)
    sink.link(member)


def _counted(chunks: Iterator[bytes], tally: Tally) -> Iterator[bytes]:
    for chunk in chunks:
        tally.advance(len(chunk))
        yield chunk


def _checked(tar: tarfile.TarFile, member: Member) -> Iterator[bytes]:
    """Yield the content of the next member, which must be the listed one."""
    header = _next_header(tar)
    is_plain = header.type in _FILE_TYPES and not header.issparse()
    if not is_plain or (header.name, header.size) != (member.path, member.size_bytes):
        raise _another(member)
    digest = hashlib.sha256()
    for chunk in _chunks(tar, header):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != member.sha256:
        raise BackupDamaged(f"{member.path} in it is damaged: its checksum is wrong")


def _chunks(tar: tarfile.TarFile, header: tarfile.TarInfo) -> Iterator[bytes]:
    with _understanding():
        stream = tar.extractfile(header)
    if stream is None:
        raise BackupDamaged("it is no archive, or a damaged one")
    left_bytes = header.size
    while left_bytes:
        with _understanding():
            chunk = stream.read(min(CHUNK_BYTES, left_bytes))
        if not chunk:
            raise BackupDamaged("it ends too early")
        left_bytes -= len(chunk)
        yield chunk


def _next_header(tar: tarfile.TarFile) -> tarfile.TarInfo:
    with _understanding():
        header = tar.next()
    if header is None:
        raise BackupDamaged("it ends too early")
    # It keeps all that it has seen, of which there may be many.
    tar.members = []  # type: ignore[attr-defined]
    return header


def _another(member: Member) -> BackupDamaged:
    return BackupDamaged(f"another thing stands in it than {member.path}")

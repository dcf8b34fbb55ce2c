"""
JSON documents: reading them strictly, and setting damaged ones aside.

A damaged file is never overwritten and never ignored: it is renamed beside its place
and the caller gets an error that says where it went.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateCorrupt, StateError, StateLocked, StateUnreadable
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from pathlib import Path

SIZE_MAX_BYTES: Final = 4 * 1024 * 1024
_SET_ASIDE: Final = "corrupt"
_OBSERVED_HINT: Final = (
    "restore it from a backup; else the next start of the service sets it aside"
)
_SET_ASIDE_HINT: Final = "restore it from a backup, or start again without it"


class Malformed(ValueError):
    """The content of a document is not what it should be; the text says how."""


@dataclass(frozen=True)
class Document:
    """
    A JSON object as it was read.

    Args:
        content: The object.
        data: The very bytes, to tell later whether the file is still the same.
    """

    content: dict[str, Any]
    data: bytes


def read_object(path: Path) -> dict[str, Any] | None:
    """
    Read a JSON object.

    Args:
        path: The file.
    Returns:
        The object, or None when there is no file.
    Raises:
        StateCorrupt: it holds something else; it was set aside.
        StateUnreadable: it exists and cannot be read; it was left as it is.
    """
    document = read_document(path)
    return None if document is None else document.content


def read_document(path: Path, size_max_bytes: int = SIZE_MAX_BYTES) -> Document | None:
    """
    Read a JSON object together with its bytes; see `read_object`.

    Args:
        path: The file.
        size_max_bytes: Its size at most.
    Raises:
        StateCorrupt: it holds something else; it was set aside.
        StateUnreadable: it exists and cannot be read; it was left as it is.
    """
    data = _read(path, size_max_bytes)
    if data is None:
        return None
    try:
        return Document(parse_object(data, size_max_bytes), data)
    except Malformed as error:
        raise set_aside(path, str(error), data) from error


def observe_object(path: Path) -> dict[str, Any] | None:
    """
    Read a JSON object and leave the file alone whatever it holds; see `read_object`.

    Raises:
        StateCorrupt: it holds something else; it was left as it is.
        StateUnreadable: it exists and cannot be read.
    """
    data = _read(path)
    try:
        return None if data is None else parse_object(data)
    except Malformed as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, what: str) -> StateCorrupt:
    """Return the error for a damaged file that was left where it is."""
    return StateCorrupt(f"{path} is damaged: {what}", hint=_OBSERVED_HINT)


def parse_object(data: bytes, size_max_bytes: int = SIZE_MAX_BYTES) -> dict[str, Any]:
    """
    Parse bytes that must be one JSON object.

    Raises:
        Malformed: they are not; duplicate keys, NaN and sizes over the limit count.
    """
    if len(data) > size_max_bytes:
        message = f"it is larger than {size_max_bytes} bytes"
        raise Malformed(message)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
        )
    except RecursionError:
        message = "it is nested too deeply"
        raise Malformed(message) from None
    except UnicodeDecodeError:
        message = "it is not UTF-8 text"
        raise Malformed(message) from None
    except json.JSONDecodeError as error:
        message = f"it is not JSON (line {error.lineno}: {error.msg})"
        raise Malformed(message) from None
    except ValueError as error:
        # Malformed from the hooks, or Python's limit on the digits of a number.
        raise Malformed(str(error).partition(";")[0]) from None
    if not isinstance(value, dict):
        message = "it is not a JSON object"
        raise Malformed(message)
    return value


def format_object(value: dict[str, Any]) -> bytes:
    """Return an object as indented JSON with a final newline."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, in a field that somebody else wrote.
        return (json.dumps(value, indent=2) + "\n").encode()


def set_aside(
    path: Path, what: str, data: bytes, hint: str = _SET_ASIDE_HINT
) -> StateError:
    """
    Rename a damaged file beside its place and return the error to raise.

    Nothing is renamed when the file has changed since it was read: somebody may have
    repaired it.

    Args:
        path: The damaged file.
        what: What is wrong with it, such as "it is not JSON".
        data: What was read from it.
        hint: What to do once it is set aside.
    """
    try:
        if _read(path, max(SIZE_MAX_BYTES, len(data) - 1)) != data:
            return StateLocked(f"{path} was damaged ({what}), and has changed since")
        kept = free_name(path)
        _move(path, kept)
    except StateError as error:
        return StateCorrupt(
            f"{path} is damaged: {what}; it could not be set aside: {error.message}",
            hint="correct the permissions of its folder, or move it away by hand",
        )
    return StateCorrupt(
        f"{path} is damaged: {what}; it was set aside as {kept.name}", hint=hint
    )


def free_name(path: Path) -> Path:
    """
    Return the first name for a file to set aside that is not taken, and take it.

    Raises:
        StateWriteFailed: no file can be made in that folder.
    """
    number = 1
    while True:
        candidate = path.with_name(f"{path.name}.{_SET_ASIDE}-{number}")
        # Two programs may find the same damage: neither may overwrite what is kept.
        if atomic.reserve_file(candidate):
            return candidate
        number += 1


def _move(path: Path, kept: Path) -> None:
    try:
        atomic.move_file(path, kept)
    except StateError:
        if os.path.lexists(path):
            atomic.remove_file(kept)
        raise


def _read(path: Path, size_max_bytes: int = SIZE_MAX_BYTES) -> bytes | None:
    try:
        return atomic.read_file(path, size_max_bytes + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StateUnreadable(f"cannot read {path}: {reason}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        message = "a key stands twice in one object"
        raise Malformed(message)
    return value


def _no_constant(name: str) -> float:
    message = f"{name} is no JSON value"
    raise Malformed(message)

"""
JSON documents: reading them strictly, and setting damaged ones aside.

A damaged file is never overwritten and never ignored: it is renamed beside its place
and the caller gets an error that says where it went.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateCorrupt, StateUnreadable
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from pathlib import Path

SIZE_MAX_BYTES: Final = 4 * 1024 * 1024
_SET_ASIDE: Final = "corrupt"


class Malformed(ValueError):
    """The content of a document is not what it should be; the text says how."""


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
    try:
        with path.open("rb") as stream:
            data = stream.read(SIZE_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StateUnreadable(f"cannot read {path}: {reason}") from error
    try:
        return parse_object(data)
    except Malformed as error:
        raise set_aside(path, str(error)) from error


def parse_object(data: bytes) -> dict[str, Any]:
    """
    Parse bytes that must be one JSON object.

    Raises:
        Malformed: they are not; duplicate keys, NaN and sizes over 4 MiB count.
    """
    if len(data) > SIZE_MAX_BYTES:
        message = f"it is larger than {SIZE_MAX_BYTES} bytes"
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
    if not isinstance(value, dict):
        message = "it is not a JSON object"
        raise Malformed(message)
    return value


def format_object(value: dict[str, Any]) -> bytes:
    """Return an object as indented JSON with a final newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def set_aside(path: Path, what: str) -> StateCorrupt:
    """
    Rename a damaged file beside its place and return the error to raise.

    Args:
        path: The damaged file.
        what: What is wrong with it, such as "it is not JSON".
    """
    kept = free_name(path)
    atomic.move_file(path, kept)
    return StateCorrupt(
        f"{path} is damaged: {what}; it was set aside as {kept.name}",
        hint="restore it from a backup, or start again without it",
    )


def free_name(path: Path) -> Path:
    """Return the first name for a file to set aside that is not taken."""
    number = 1
    while True:
        candidate = path.with_name(f"{path.name}.{_SET_ASIDE}-{number}")
        if not os.path.lexists(candidate):
            return candidate
        number += 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        message = "a key stands twice in one object"
        raise Malformed(message)
    return value


def _no_constant(name: str) -> float:
    message = f"{name} is no JSON value"
    raise Malformed(message)

"""
Ways to write a state file that look right, and lose it.

A test of durability that does not fail on these proves nothing. Each is put in the
place of the real function by `apply`, in a process of its own or for one test.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateUnreadable
from vllm_pkg.state import atomic, credentials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from vllm_pkg.settings import Settings

SLOW_DISK_S: Final = 0.002
REAL_REPLACE: Final = atomic._replace
REAL_ENSURE_KEY: Final = credentials.ensure_key


def in_place(path: Path, _: Path, data: bytes, mode: int, *__: Any) -> None:
    """Overwrite the file itself, in two writes as on a slow disk, and sync it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(path, flags, mode)
    half = len(data) // 2
    os.write(descriptor, data[:half])
    # Gives the processor away: a reader that shares it is not shut out by chance.
    time.sleep(SLOW_DISK_S)
    os.write(descriptor, data[half:])
    os.fsync(descriptor)
    os.close(descriptor)
    atomic.sync_folder(path.parent)


def unlink_first(path: Path, temporary: Path, data: bytes, mode: int, *_: Any) -> None:
    """Remove the old file before the new one takes its place."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108
    REAL_REPLACE(path, temporary, data, mode)


def wide_mode(path: Path, temporary: Path, data: bytes, mode: int, *_: Any) -> None:
    """Set the mode after the file has its name."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    os.replace(temporary, path)  # noqa: PTH105
    path.chmod(mode)
    atomic.sync_folder(path.parent)


def raw_error(_: Path, error: OSError) -> OSError:
    """Let an error of the system through as it is."""
    return error


def other_error(path: Path, _: OSError) -> StateUnreadable:
    """Take a file that cannot be written for one that cannot be read."""
    return StateUnreadable(f"cannot read {path}")


def no_sweep(_: Path) -> int:
    """Leave what an interrupted write left."""
    return 0


def unchecked(path: Path, temporary: Path, data: bytes, mode: int, *_: Any) -> None:
    """Replace the file without looking whether it has changed."""
    unique = temporary.with_name(f"{temporary.name}.{os.getpid()}.tmp")
    REAL_REPLACE(path, unique, data, mode)


def drop_first(settings: Settings) -> str:
    """Drop the key from the old store, and only then look for a key."""
    path = settings.store_file
    document = json.loads(path.read_bytes()) if path.exists() else {}
    key = document.pop("apiKey", None)
    atomic.write_file(path, json.dumps(document).encode())
    if key is not None and not settings.credentials_file.exists():
        made = json.dumps({"apiKey": key}).encode()
        atomic.write_file(settings.credentials_file, made)
    return REAL_ENSURE_KEY(settings)


def without_file_sync(sync: Callable[[int], None]) -> Callable[[int], None]:
    """Return an fsync that does its work for folders only."""

    def partly(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            sync(descriptor)

    return partly


def without_folder_sync(sync: Callable[[int], None]) -> Callable[[int], None]:
    """Return an fsync that does its work for files only."""

    def partly(descriptor: int) -> None:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            sync(descriptor)

    return partly


MUTANTS: Final[dict[str, tuple[ModuleType, str, Callable[..., Any]]]] = {
    "in-place": (atomic, "_replace", in_place),
    "unlink-first": (atomic, "_replace", unlink_first),
    "wide-mode": (atomic, "_replace", wide_mode),
    "unchecked": (atomic, "_replace", unchecked),
    "raw-error": (atomic, "write_failed", raw_error),
    "other-error": (atomic, "write_failed", other_error),
    "no-sweep": (atomic, "sweep_temporary_files", no_sweep),
    "drop-first": (credentials, "ensure_key", drop_first),
}


def apply(name: str) -> None:
    """Put a mutant in the place of the real function, for good in this process."""
    setattr(*MUTANTS[name])

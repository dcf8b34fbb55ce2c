"""
Model caches as huggingface_hub 2 leaves them, and what is measured in them.

Nothing here uses the code under test.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ONE: Final = "1" * 40
TWO: Final = "2" * 40
STORE: Final = "blobs"
MARKER: Final = ".huggingface-shared-blobs"


def add_revision(
    repository: Path,
    commit: str,
    files: Mapping[str, bytes],
    refs: tuple[str, ...] = (),
) -> Path:
    """
    Add a revision to a repository's folder; equal content becomes one blob.

    Returns:
        The revision's folder.
    """
    snapshot = repository / "snapshots" / commit
    blobs = repository / "blobs"
    for folder in (snapshot, blobs, repository / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        blob = blobs / hashlib.sha256(content).hexdigest()
        if not os.path.lexists(blob):
            blob.write_bytes(content)
        path = snapshot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(blob, path.parent))
    for ref in refs:
        (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / ref).write_text(commit)
    return snapshot


def share_blob(repository: Path, content: bytes) -> Path:
    """
    Move a blob into the store that models share, as a Xet download does.

    Returns:
        The payload.
    """
    cache = repository.parent
    store = cache / STORE
    blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
    name = hashlib.sha256(b"xet" + content).hexdigest()
    payload = store / name[:2] / name
    payload.parent.mkdir(parents=True, exist_ok=True)
    (store / MARKER).write_text("1\n")
    payload.write_bytes(content)
    blob.unlink()
    blob.symlink_to(os.path.relpath(payload, blob.parent))
    with payload.with_name(f"{name}.refs").open("a") as stream:
        stream.write(f"{blob.relative_to(cache)}\n")
    return payload


def weights_of(length_bytes: int = 256) -> bytes:
    """Return a safetensors file of that length, 128 bytes at least."""
    data_bytes = length_bytes - 128
    entry = {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}
    header = json.dumps({"w": entry}).encode().ljust(120)
    return len(header).to_bytes(8, "little") + header + b"w" * data_bytes


def index_of(*shards: str) -> bytes:
    """Return an index of safetensors that names these files."""
    weights = {f"layer.{number}": shard for number, shard in enumerate(shards)}
    return json.dumps({"metadata": {}, "weight_map": weights}).encode()


def occupied_bytes(folder: Path) -> int:
    """Return the bytes of all regular files below a folder, each counted once."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(parent, name))  # noqa: PTH118
            if stat.S_ISREG(status.st_mode):
                size = min(status.st_size, status.st_blocks * 512)
                found[status.st_dev, status.st_ino] = size
    return sum(found.values())


def names_below(folder: Path) -> set[str]:
    """Return the paths of all that is below a folder, lock files left out."""
    found = set()
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            if not name.endswith(".lock"):
                path = os.path.join(parent, name)  # noqa: PTH118
                found.add(os.path.relpath(path, folder))
    return found


def digest(folder: Path, leaving_out: tuple[str, ...] = ()) -> str:
    """
    Return a digest of names, modes, sizes, times, links and content of a tree.

    Args:
        folder: The tree.
        leaving_out: How the names of files end that do not count.
    """
    whole = hashlib.sha256()
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted((*folders, *names)):
            if name.endswith(leaving_out):
                continue
            path = os.path.join(parent, name)  # noqa: PTH118
            status = os.lstat(path)
            where = os.path.relpath(path, folder)
            facts = (where, status.st_mode, status.st_size, status.st_mtime_ns)
            whole.update(repr((*facts, status.st_nlink)).encode())
            if stat.S_ISLNK(status.st_mode):
                whole.update(os.readlink(path).encode())  # noqa: PTH115
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as stream:  # noqa: PTH123
                    whole.update(stream.read())
    return whole.hexdigest()


def contents(snapshot: Path) -> dict[str, bytes | None]:
    """Return what each file of a revision leads to; None: to nothing."""
    found = {}
    for parent, _, names in os.walk(snapshot):
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118
            try:
                with open(path, "rb") as stream:  # noqa: PTH123
                    content: bytes | None = stream.read()
            except FileNotFoundError:
                content = None
            found[os.path.relpath(path, snapshot)] = content
    return found

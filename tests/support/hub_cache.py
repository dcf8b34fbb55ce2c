"""A model in a Hugging Face cache, written as a download leaves it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from vllm_pkg.models.tiny import tiny_files

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_cached_model(cache: Path, repository: str) -> Path:
    """
    Write the tiny model into a cache under the name of a repository.

    Returns:
        The repository's folder in the cache.
    """
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "blobs").mkdir()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    for name, content in tiny_files().items():
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    return folder

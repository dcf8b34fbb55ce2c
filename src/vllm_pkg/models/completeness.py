"""
Whether what a cache holds of a repository is whole, told from what stands there.

Pure. A revision is whole when every file of it is there, every file that an index of
safetensors names, and, beside the configuration of a model, any weights at all.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.repository_content import BLOBS, INCOMPLETE, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.models.repository_content import RepositoryContent, StoredFile

_WEIGHTS: Final = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf"})


def is_revision_partial(
    content: RepositoryContent, commit: str, files: Mapping[str, StoredFile | None]
) -> bool:
    """
    Whether files of a revision are missing.

    Args:
        content: The repository.
        commit: Which revision.
        files: What each of its names leads to in the end; None: to nothing.
    """
    if not files or None in files.values():
        return True
    base = f"{SNAPSHOTS}/{commit}/"
    for path, shards in content.shards.items():
        if not path.startswith(base):
            continue
        folder = PurePosixPath(path.removeprefix(base)).parent
        if shards is None or any(str(folder / name) not in files for name in shards):
            return True
    has_weights = any(PurePosixPath(name).suffix in _WEIGHTS for name in files)
    return commit in content.has_architecture and not has_weights


def pending_downloads(content: RepositoryContent) -> tuple[StoredFile, ...]:
    """
    Return the partial files whose whole file is not there.

    huggingface_hub names a partial file after its blob; a process that was killed may
    leave one beside the blob that a later download completed.
    """
    blobs = content.blobs()
    return tuple(
        entry.file
        for name, entry in blobs.items()
        if name.endswith(INCOMPLETE)
        and entry.file is not None
        and f"{BLOBS}/{name.partition('.')[0]}" not in content.entries
    )

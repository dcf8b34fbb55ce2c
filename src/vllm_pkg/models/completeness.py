"""
Whether what a cache holds of a repository is whole, told from what stands there.

Pure. A revision is whole when every file of it is there and as long as it has to be,
every file that was asked for or that an index of safetensors names, and, beside the
configuration of a model, any weights at all. How long a file has to be says what the
Hub listed, else the header of safetensors. An index's ``total_size`` does not: in some
published repositories it is that of another type of numbers.
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
    Whether files of a revision are missing, or were cut.

    Args:
        content: The repository.
        commit: Which revision.
        files: What each of its names leads to in the end; None: to nothing.
    """
    listed = content.listed.get(commit, {})
    if not files or not listed.keys() <= files.keys():
        return True
    if not all(_is_whole(file, listed.get(name)) for name, file in files.items()):
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


def _is_whole(file: StoredFile | None, listed_bytes: int | None) -> bool:
    if file is None:
        return False
    expected = file.announced_bytes if listed_bytes is None else listed_bytes
    return expected in {None, file.length_bytes}


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

"""Whether the cache holds all that is needed of a repository, without any network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.download.hashing import header_problem
from vllm_pkg.models.download.layout import RepositoryFolder, size_of
from vllm_pkg.models.download.listing import parse_index
from vllm_pkg.models.download.needs import Role
from vllm_pkg.models.download.selection import (
    DUMMY,
    choose_files,
    choose_weights,
    index_file,
)
from vllm_pkg.models.quiet_open import read_quietly

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from vllm_pkg.models.download.listing import Listing
    from vllm_pkg.models.download.needs import Need
    from vllm_pkg.settings import Settings

# Each role's file without which nothing of the repository can be used.
_REQUIRED: Final = {
    Role.MODEL: ("config.json", "params.json"),
    Role.CONFIG: ("config.json", "params.json"),
    Role.ADAPTER: ("adapter_config.json",),
    Role.GENERATION: ("generation_config.json", "config.json"),
}
_SHARD: Final = re.compile(r".*-(\d{5})-of-(\d{5})\.\w+")
_SAFETENSORS: Final = ".safetensors"


def is_complete(settings: Settings, need: Need) -> bool:
    """
    Whether the engine finds everything it needs of a repository in the cache.

    What this package has fetched is compared with what the Hub listed then. What others
    have left in the cache has to be consistent in itself.

    Args:
        settings: Where the cache is.
        need: The repository, and what of it is needed.
    """
    folder = RepositoryFolder(settings.models_dir, need.repo_id)
    commit = folder.commit_of(need.revision)
    if commit is None:
        return False
    listing = folder.kept_listing(commit)
    if listing is None:
        return _is_consistent(folder.snapshot(commit), need)
    names = chosen_names(folder, listing, need)
    return names is not None and all(
        folder.has_file(commit, file) for file in listing.select(names)
    )


def chosen_names(
    folder: RepositoryFolder, listing: Listing, need: Need
) -> tuple[str, ...] | None:
    """
    Return what of a listing is needed; None: an index that says so is not there yet.

    Args:
        folder: The repository's folder.
        listing: Its files.
        need: What of it is needed.
    """
    sizes_bytes = listing.sizes_bytes
    index = index_file(sizes_bytes, need)
    indexed = None
    if index is not None:
        try:
            data = read_quietly(folder.pointer(listing.commit, index))
        except OSError:
            return None
        indexed = parse_index(data)
    return choose_files(sizes_bytes, need, indexed)


def has_needless_weights(need: Need) -> bool:
    """Whether no weights are expected at all."""
    return need.role is not Role.MODEL or need.load_format == DUMMY


def _is_consistent(snapshot: Path, need: Need) -> bool:
    """Whether the files of a snapshot are all that its own index and names promise."""
    names = {
        path.relative_to(snapshot).as_posix()
        for path in snapshot.rglob("*")
        if size_of(path) is not None and not path.is_dir()
    }
    required = _REQUIRED.get(need.role, ())
    if not names or (required and names.isdisjoint(required)):
        return False
    if has_needless_weights(need):
        return True
    index = index_file(names, need)
    indexed = parse_index(read_quietly(snapshot / index)) if index else None
    weights = choose_weights(names, need, indexed)
    return (
        bool(weights)
        and (indexed is None or indexed <= names)
        and _has_all_shards(weights)
        and not any(
            header_problem(snapshot / name)
            for name in weights
            if name.endswith(_SAFETENSORS)
        )
    )


def _has_all_shards(names: Collection[str]) -> bool:
    shards = [match for match in map(_SHARD.fullmatch, names) if match]
    return all(
        sum(other[2] == shard[2] for other in shards) >= int(shard[2])
        for shard in shards
    )

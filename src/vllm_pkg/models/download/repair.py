"""Fetching again what a check has found damaged, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_pkg.models.download.errors import FileNotInRepository
from vllm_pkg.models.download.examination import Part
from vllm_pkg.models.download.fetching import Fetcher
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.needs import Need
from vllm_pkg.models.download.transfer import Work, run_transfer
from vllm_pkg.models.removal import size_on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vllm_pkg.models.download.listing import Listing
    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.models.download.transfer import Circumstances
    from vllm_pkg.models.download.verify import FileCheck
    from vllm_pkg.settings import Settings


def repair_files(
    settings: Settings,
    damaged: Sequence[FileCheck],
    circumstances: Circumstances,
    on_progress: Callable[[Transfer], None],
) -> int:
    """
    Remove damaged files from the cache and fetch them again.

    Nothing is removed before the Hub has said that it still has it, and before it is
    sure that the disk has room for it.

    Args:
        settings: Where the cache is.
        damaged: The checks that have failed.
        circumstances: Under what a transfer runs.
        on_progress: Told twice a second how far it is.
    Returns:
        How many bytes were fetched.
    Raises:
        DownloadError: the Hub cannot be reached, or does not have a file any more, or
            there is no room for it.
    """
    revisions = dict.fromkeys((item.repo_id, item.commit) for item in damaged)
    parts = []
    for repo_id, commit in revisions:
        folder = RepositoryFolder(settings.models_dir, repo_id)
        listing = _list(repo_id, commit, circumstances)
        names = [
            item.name
            for item in damaged
            if (item.repo_id, item.commit) == (repo_id, commit)
        ]
        files = listing.select(names)
        if len(files) < len(names):
            gone = sorted(set(names) - {file.name for file in files})
            raise FileNotInRepository(f"{repo_id} has no {gone[0]} any more")
        need = Need(repo_id, revision=commit)
        parts.append(Part(need, folder, commit, files, is_whole=False))
    fetcher = Fetcher(settings, circumstances, on_progress)
    fetcher.require_room(parts, _occupied_bytes(parts))
    for part in parts:
        for file in part.files:
            part.folder.pointer(part.commit, file.name).unlink(missing_ok=True)
            part.folder.blob(file.etag).unlink(missing_ok=True)
    return fetcher.fetch_all(parts, is_planned=True)


def _occupied_bytes(parts: Sequence[Part]) -> int:
    """Return what removing the files of some parts gives back to the disk."""
    blobs = {part.folder.blob(file.etag) for part in parts for file in part.files}
    status = [blob.stat() for blob in blobs if blob.is_file()]
    # One with a second name stays on the disk under that.
    return sum(size_on_disk(one) for one in status if one.st_nlink == 1)


def _list(repo_id: str, commit: str, circumstances: Circumstances) -> Listing:
    work = Work(repo_id, commit, (), (), lambda: 0, lambda _state, _size_bytes: None)
    listing = run_transfer(work, circumstances)
    if listing is None:
        raise FileNotInRepository(f"{repo_id}: the Hub does not list its files")
    return listing

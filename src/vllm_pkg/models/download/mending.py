"""
Looking through what an engine will read, and fetching again what is damaged.

Only sizes and the headers of safetensors are read, so it takes no time that anybody
notices, whatever the size of the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_pkg.models.download.completeness import chosen_names
from vllm_pkg.models.download.errors import (
    DownloadCancelled,
    DownloadCorrupt,
    DownloadError,
    OfflineIncomplete,
)
from vllm_pkg.models.download.repair import repair_files
from vllm_pkg.models.download.verify import FileCheck, check_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vllm_pkg.models.download.examination import Part
    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.models.download.transfer import Circumstances
    from vllm_pkg.settings import Settings


class Mender:
    """
    Mends what is damaged of several repositories.

    Args:
        settings: Where the cache is.
        circumstances: Under what a transfer runs.
        on_progress: Told twice a second how far it is.
        is_offline: Whether the Hub may not be asked.
    """

    def __init__(
        self,
        settings: Settings,
        circumstances: Circumstances,
        on_progress: Callable[[Transfer], None],
        *,
        is_offline: bool,
    ) -> None:
        self._settings = settings
        self._circumstances = circumstances
        self._on_progress = on_progress
        self._is_offline = is_offline

    def mend(self, parts: Sequence[Part]) -> int:
        """
        Fetch what is damaged again, and nothing else.

        Returns:
            How many bytes were fetched.
        Raises:
            OfflineIncomplete: something is damaged, and the Hub may not be asked.
            DownloadError: it cannot be fetched; the class says why.
        """
        damaged = find_damaged(parts)
        if not damaged:
            return 0
        told = _tell(damaged)
        if self._is_offline:
            raise OfflineIncomplete(f"{told}, and HF_HUB_OFFLINE is set")
        try:
            fetched = repair_files(
                self._settings, damaged, self._circumstances, self._on_progress
            )
        except DownloadCancelled:
            raise
        except DownloadError as error:
            message = f"{told} and cannot be fetched again: {error.message}"
            raise type(error)(message, hint=error.hint) from error
        left = find_damaged(parts)
        if left:
            raise DownloadCorrupt(
                f"{_tell(left)}, and it is so on the Hub, too",
                hint="choose another repository or --revision, or tell the owner",
            )
        return fetched


def find_damaged(parts: Sequence[Part]) -> tuple[FileCheck, ...]:
    """
    Return the files of repositories that are not as the Hub listed them.

    What others have put into the cache was listed by nobody. It has been looked at when
    it was taken for complete.

    Args:
        parts: What is needed of each repository.
    """
    checks = []
    for part in parts:
        listing = part.folder.kept_listing(part.commit)
        if listing is None:
            continue
        names = chosen_names(part.folder, listing, part.need) or ()
        for file in listing.select(names):
            asked = FileCheck(
                part.need.repo_id, part.commit, file.name, file.size_bytes
            )
            found = check_file(
                part.folder, part.commit, asked, is_full=False, on_checked=_ignore
            )
            checks.append(found)
    return tuple(found for found in checks if not found.is_ok)


def _ignore(_name: str, _size_bytes: int) -> None:
    """Take how much of a content was read: none of it is."""


def _tell(damaged: Sequence[FileCheck]) -> str:
    first, *others = damaged
    what = f"{first.repo_id}: {first.name} is damaged in the cache"
    detail = f" ({first.detail or first.state})"
    more = f", and so are {len(others)} more files" if others else ""
    return f"{what}{detail}{more}"

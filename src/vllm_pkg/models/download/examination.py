"""Finding out what of a repository is needed: from the cache, else from the Hub."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.download.completeness import (
    chosen_names,
    has_needless_weights,
    is_complete,
)
from vllm_pkg.models.download.errors import DownloadCorrupt, NoWeights
from vllm_pkg.models.download.layout import RepositoryFolder, is_commit
from vllm_pkg.models.download.needs import Role
from vllm_pkg.models.download.progress import Transfer, TransferState
from vllm_pkg.models.download.selection import INDEX, MISTRAL_INDEX, choose_weights
from vllm_pkg.models.download.transfer import Work, run_transfer
from vllm_pkg.models.quiet_open import read_quietly
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.models.download.listing import Listing, RemoteFile
    from vllm_pkg.models.download.needs import Need
    from vllm_pkg.models.download.transfer import Circumstances
    from vllm_pkg.settings import Settings

CONFIG: Final = "config.json"
# What decides about all else, and is small: fetched together with the listing.
_FIRST: Final = (CONFIG, INDEX, MISTRAL_INDEX)


@dataclass(frozen=True)
class Part:
    """
    What of one repository is needed.

    Args:
        need: The repository.
        folder: Its folder in the cache.
        commit: The commit that its revision is.
        files: The needed files; empty when the cache is complete and nobody has listed
            them.
        is_whole: Whether all of them are there.
    """

    need: Need
    folder: RepositoryFolder
    commit: str
    files: tuple[RemoteFile, ...]
    is_whole: bool

    @property
    def missing(self) -> tuple[RemoteFile, ...]:
        """The files that are not there, or not whole."""
        return tuple(
            file for file in self.files if not self.folder.has_file(self.commit, file)
        )

    def read_config(self) -> dict[str, Any]:
        """Return its config.json; empty when there is none that can be read."""
        try:
            text = read_quietly(self.folder.pointer(self.commit, CONFIG))
            config = json.loads(text)
        except (OSError, ValueError):
            return {}
        return config if isinstance(config, dict) else {}


class Examiner:
    """
    Finds out what is needed.

    Args:
        settings: Where the cache is.
        circumstances: Under what a transfer runs.
        on_progress: Told that the Hub is asked.
    """

    def __init__(
        self,
        settings: Settings,
        circumstances: Circumstances,
        on_progress: Callable[[Transfer], None],
    ) -> None:
        self._settings = settings
        self._circumstances = circumstances
        self._on_progress = on_progress

    def examine(self, need: Need, *, is_refresh: bool) -> Part:
        """
        Find out what of a repository is needed; ask the Hub only if it must be.

        Args:
            need: The repository.
            is_refresh: Whether to ask the Hub in any case.
        Raises:
            DownloadError: the Hub cannot tell, or has nothing that the engine loads.
        """
        folder = RepositoryFolder(self._settings.models_dir, need.repo_id)
        commit = folder.commit_of(need.revision)
        if commit and not is_refresh and is_complete(self._settings, need):
            return Part(need, folder, commit, (), is_whole=True)
        listing = self._list(need)
        names = chosen_names(folder, listing, need)
        if names is None:
            raise DownloadCorrupt(
                f"{need.repo_id}: its index of weights cannot be read"
            )
        if not has_needless_weights(need) and not choose_weights(names, need, None):
            raise NoWeights(
                f"{need.repo_id} holds no weights that the engine would load"
            )
        self._keep(folder, listing, names)
        part = Part(need, folder, listing.commit, listing.select(names), is_whole=False)
        return replace(part, is_whole=not part.missing)

    def _list(self, need: Need) -> Listing:
        def tick(state: TransferState, _: int) -> None:
            shown = state if state is TransferState.STALLED else TransferState.LISTING
            self._on_progress(Transfer(need.repo_id, shown))

        work = Work(
            repo_id=need.repo_id,
            revision=need.revision,
            names=_FIRST if need.role is Role.MODEL else (),
            files=(),
            measure=lambda: 0,
            on_tick=tick,
        )
        listing = run_transfer(work, self._circumstances)
        if listing is None:
            raise DownloadCorrupt(f"{need.repo_id}: the Hub does not list its files")
        if is_commit(need.revision) and listing.commit != need.revision:
            raise DownloadCorrupt(f"{need.repo_id}: the Hub lists another commit")
        return listing

    def _keep(
        self, folder: RepositoryFolder, listing: Listing, names: tuple[str, ...]
    ) -> None:
        """Write down what the Hub listed, so that next time nobody has to be asked."""
        kept = folder.kept_listing(listing.commit)
        earlier = kept.wanted if kept else frozenset()
        wanted = replace(listing, wanted=earlier | set(names))
        atomic.make_folder(folder.own_path)
        data = json.dumps(wanted.as_json()).encode()
        atomic.write_file(folder.listing_file(listing.commit), data)

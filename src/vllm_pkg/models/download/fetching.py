"""Fetching the files that are missing, after the disk was planned for all of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.download.disk_plan import RESERVE_BYTES, DiskPlan, Removable
from vllm_pkg.models.download.errors import CacheUnwritable, DiskFull
from vllm_pkg.models.download.layout import arrived_bytes, is_commit
from vllm_pkg.models.download.progress import Speed, Transfer, TransferState
from vllm_pkg.models.download.transfer import Work, run_transfer
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vllm_pkg.models.download.examination import Part
    from vllm_pkg.models.download.transfer import Circumstances
    from vllm_pkg.settings import Settings


class Fetcher:
    """
    Fetches what is missing of several repositories.

    Args:
        settings: Where the cache is.
        circumstances: Under what a transfer runs.
        on_progress: Told twice a second how far it is.
        reserve_bytes: What has to stay free on the disk.
    """

    def __init__(
        self,
        settings: Settings,
        circumstances: Circumstances,
        on_progress: Callable[[Transfer], None],
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self._settings = settings
        self._circumstances = circumstances
        self._on_progress = on_progress
        self._reserve_bytes = reserve_bytes
        self._speed: Speed | None = None

    def fetch_all(self, parts: Sequence[Part], *, is_planned: bool = False) -> int:
        """
        Fetch what is missing; a revision counts only when all of it is there.

        Args:
            parts: What is needed.
            is_planned: Whether `require_room` has planned the disk already.
        Returns:
            How many bytes were added to the disk.
        Raises:
            DownloadError: it cannot be fetched; the class says why.
        """
        missing = [part for part in parts if part.missing]
        before = _arrived(missing)
        if not is_planned and self._plan(missing).shortfall_bytes:
            raise self._plan(missing, has_removable=True).error()
        try:
            for part in missing:
                self._fetch(part, missing)
        except DiskFull as error:
            # Somebody else has written to the disk meanwhile.
            plan = self._plan(missing, has_removable=True)
            raise (plan.error() if plan.shortfall_bytes else error) from error
        for part in parts:
            if part.files:
                _point_to(part)
        return max(0, _arrived(missing) - before)

    def require_room(self, parts: Sequence[Part], freed_bytes: int) -> None:
        """
        Check that all files of some parts could be fetched anew.

        Args:
            parts: What would be fetched, whether it is there or not.
            freed_bytes: What is removed before that; who needs no more than it fits.
        Raises:
            DiskFull: there is no room for them.
        """
        files = {
            (part.need.repo_id, file.etag): file.size_bytes
            for part in parts
            for file in part.files
        }
        more_bytes = max(0, sum(files.values()) - freed_bytes)
        if self._plan_for(parts, more_bytes).shortfall_bytes:
            raise self._plan_for(parts, more_bytes, has_removable=True).error()

    def _fetch(self, part: Part, parts: Sequence[Part]) -> None:
        def tick(state: TransferState, _: int) -> None:
            self._report(part, parts, state)

        work = Work(
            repo_id=part.need.repo_id,
            revision=part.commit,
            names=None,
            files=part.missing,
            measure=lambda: arrived_bytes(part.folder, part.files),
            on_tick=tick,
        )
        run_transfer(work, self._circumstances)
        self._report(part, parts, TransferState.DONE)

    def _report(self, part: Part, parts: Sequence[Part], state: TransferState) -> None:
        done = _arrived(parts)
        total = sum(file.size_bytes for item in parts for file in item.files)
        now_s = self._circumstances.clock.now_s()
        self._speed = (
            self._speed.measured(now_s, done) if self._speed else Speed(now_s, done)
        )
        self._on_progress(
            Transfer(
                repository=part.need.repo_id,
                state=state,
                files_done=sum(len(item.files) - len(item.missing) for item in parts),
                files_total=sum(len(item.files) for item in parts),
                bytes_done=done,
                bytes_total=total,
                bytes_per_s=self._speed.bytes_per_s or 0.0,
                eta_s=self._speed.eta_s(total - done),
            )
        )

    def _plan(self, parts: Sequence[Part], *, has_removable: bool = False) -> DiskPlan:
        needed = {
            (part.need.repo_id, file.etag): file.size_bytes
            - part.folder.arrived_bytes(file)
            for part in parts
            for file in part.missing
        }
        needed_bytes = sum(needed.values())
        return self._plan_for(parts, needed_bytes, has_removable=has_removable)

    def _plan_for(
        self, parts: Sequence[Part], needed_bytes: int, *, has_removable: bool = False
    ) -> DiskPlan:
        names = {part.need.repo_id for part in parts}
        return DiskPlan(
            needed_bytes=needed_bytes,
            free_bytes=free_bytes(self._settings.models_dir),
            reserve_bytes=self._reserve_bytes,
            removable=tuple(
                Removable(model.key, model.size_bytes, model.last_used_s)
                for model in (list_cached(self._settings) if has_removable else ())
                if model.repo_id not in names
            ),
        )


def free_bytes(folder: Path) -> int:
    """
    Return what the file system of a folder has free for us.

    Raises:
        CacheUnwritable: nobody can tell.
    """
    existing = next(item for item in (folder, *folder.parents) if item.exists())
    try:
        status = os.statvfs(existing)
    except OSError as error:
        raise CacheUnwritable(
            f"cannot tell what is free on {existing}: {error.strerror}"
        ) from error
    return status.f_bavail * status.f_frsize


def _arrived(parts: Sequence[Part]) -> int:
    return sum(arrived_bytes(part.folder, part.files) for part in parts)


def _point_to(part: Part) -> None:
    """Let a branch or tag mean the commit, now that all of it is there."""
    if is_commit(part.need.revision):
        return
    ref = part.folder.ref(part.need.revision)
    atomic.make_folder(ref.parent)
    # Not beside it: what a crash leaves there would be taken for a branch.
    draft = part.folder.own_path / "ref"
    atomic.write_file(draft, part.commit.encode())
    atomic.move_file(draft, ref)

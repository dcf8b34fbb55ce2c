"""The page: what could run here?"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import ui

from vllm_pkg.actions.model_removal import check_plan, remove
from vllm_pkg.errors import ServiceError
from vllm_pkg.models.deletion_plan import plan_deletion
from vllm_pkg.models.presets import load_presets
from vllm_pkg.portal.components.confirm import confirm
from vllm_pkg.portal.components.program_words import draw_program_words
from vllm_pkg.portal.components.redrawn import Redrawn
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.action import open_action
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.pages.models.activity import Activity
from vllm_pkg.portal.pages.models.cache_list import draw_cache
from vllm_pkg.portal.pages.models.cache_rows import (
    cache_rows,
    describe_removal,
    describe_removed,
)
from vllm_pkg.portal.pages.models.disk_bar import draw_disk
from vllm_pkg.portal.pages.models.disk_use import divide_disk
from vllm_pkg.portal.pages.models.fit_answer import preset_prefill
from vllm_pkg.portal.pages.models.fit_question import FitQuestion
from vllm_pkg.portal.pages.models.job_rows import (
    check_row,
    content_bytes,
    download_row,
    newest_checks,
    newest_downloads,
)
from vllm_pkg.portal.pages.models.preset_list import draw_presets
from vllm_pkg.portal.pages.models.presets import preset_rows, summarize
from vllm_pkg.portal.pages.models.snapshot import look, look_at_activity
from vllm_pkg.portal.said import say_error
from vllm_pkg.service import cached_models, downloads, pulling
from vllm_pkg.service.jobs import cancel_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.models.deletion_plan import DeletionPlan
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.pages.models.cache_rows import CacheRow
    from vllm_pkg.portal.pages.models.job_rows import JobRow
    from vllm_pkg.portal.pages.models.snapshot import Snapshot
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.service.jobs import Job

Result = TypeVar("Result")
PATH: Final = "/models"
POLL_S: Final = 1.0
# What other programs change in the cache is seen after so many looks.
LOOKS_UNTIL_ALL: Final = 15
# A cache of many models on a slow disk takes its time.
BUILD_MAX_S: Final = 30.0


def register(portal: Portal) -> None:
    """Add the page."""

    @ui.page(PATH, response_timeout=BUILD_MAX_S)
    async def models(request: Request) -> None:
        texts = request_texts(request)
        snapshot = await asyncio.to_thread(look, portal.settings)
        with page_frame(texts, PATH):
            ModelsPage(portal, texts, snapshot)


class ModelsPage:
    """
    The page of one visitor.

    Args:
        portal: The running portal.
        texts: The language.
        snapshot: What is shown first.
    """

    def __init__(self, portal: Portal, texts: Texts, snapshot: Snapshot) -> None:
        self._portal, self._texts = portal, texts
        # What waits for an answer may outlive the element that was clicked.
        self._client = ui.context.client
        self._snapshot = snapshot
        self._going_on = snapshot.activity
        self._looks = 0
        self._names = {preset.id: preset.name for preset in load_presets()}
        self._headline = Text("p").classes("vp-headline")
        self._problems = Redrawn(partial(draw_program_words, texts), snapshot.remarks)
        with section(texts("models.presets.title")):
            Text("p", texts("models.presets.about")).classes("vp-muted")
            self._presets = Redrawn(self._draw_presets, self._preset_rows())
        with section(texts("models.fit.title")):
            Text("p", texts("models.fit.about")).classes("vp-muted")
            FitQuestion(portal.settings, texts, self._use, self.download)
        with section(texts("models.downloads.title")) as card:
            self._activity_card = card
            self._activity = Activity(texts, self)
        with section(texts("models.cache.title")):
            self._cache = Redrawn(self._draw_cache, self._cache_rows())
        with section(texts("models.disk.title")):
            self._disk = Redrawn(lambda parts: draw_disk(texts, parts), self._parts())
        self._show()
        ui.timer(POLL_S, self._follow)

    def _show(self) -> None:
        snapshot = self._snapshot
        self._headline.say(
            summarize(
                self._texts, snapshot.hardware, snapshot.free_bytes, snapshot.fits
            )
        )
        self._problems.show(snapshot.remarks)
        self._presets.show(self._preset_rows())
        self._cache.show(self._cache_rows())
        self._disk.show(self._parts())
        self._show_activity()

    def _show_activity(self) -> None:
        texts, going_on = self._texts, self._going_on
        everything = texts("models.check.everything")
        rows = [
            download_row(texts, item, self._names)
            for item in newest_downloads(going_on.downloads)
        ]
        rows += [
            check_row(texts, job, self._content_bytes(job), everything)
            for job in newest_checks(going_on.checks)
        ]
        self._activity_card.set_visibility(bool(rows))
        self._activity.show(rows)

    def _preset_rows(self) -> Any:
        snapshot = self._snapshot
        cached = {item["model"]: item for item in snapshot.models}
        return preset_rows(
            self._texts,
            snapshot.fits,
            snapshot.hardware.tier,
            snapshot.selected,
            cached,
        )

    def _cache_rows(self) -> tuple[CacheRow, ...]:
        return cache_rows(self._texts, self._snapshot.models)

    def _parts(self) -> Any:
        snapshot = self._snapshot
        return divide_disk(snapshot.models, snapshot.total_bytes, snapshot.free_bytes)

    def _content_bytes(self, job: Job) -> int:
        return content_bytes(self._snapshot.models, job.model)

    def _draw_presets(self, rows: Any) -> None:
        def use(preset_id: str) -> None:
            self._use(preset_prefill(preset_id))

        draw_presets(self._texts, rows, use, self.download)

    def _draw_cache(self, rows: tuple[CacheRow, ...]) -> None:
        draw_cache(self._texts, rows, self)

    async def _follow(self) -> None:
        """Look at what goes on, and at everything when some of it has ended."""
        before = self._going_on.running
        self._going_on = await asyncio.to_thread(
            look_at_activity, self._portal.settings
        )
        self._looks += 1
        if before - self._going_on.running or self._looks >= LOOKS_UNTIL_ALL:
            await self._look_at_all()
        else:
            self._show_activity()

    async def _look_at_all(self) -> None:
        self._looks = 0
        self._snapshot = await asyncio.to_thread(look, self._portal.settings)
        self._going_on = self._snapshot.activity
        self._show()

    def _use(self, prefill: dict[str, Any]) -> None:
        open_action(self._portal, self._texts, "set-model", prefill)

    async def download(self, model: str) -> None:
        """Fetch a model, or what is missing of it."""
        await self._do(lambda: pulling.pull(self._portal.settings, model))

    async def resume(self, row: JobRow) -> None:
        """Go on with a download."""
        await self.download(row.model)

    async def verify(self, model: str, *, is_full: bool) -> None:
        """Check a model."""
        settings = self._portal.settings
        await self._do(
            lambda: pulling.verify(settings, model, is_full=is_full, is_repair=False)
        )

    async def repair(self, row: JobRow) -> None:
        """Fetch again what a check has found damaged."""
        settings, is_full = self._portal.settings, bool(row.repairs_fully)
        await self._do(
            lambda: pulling.verify(settings, row.model, is_full=is_full, is_repair=True)
        )

    async def cancel(self, row: JobRow) -> None:
        """End a download or check."""
        settings, is_check = self._portal.settings, row.is_check
        end = cancel_job if is_check else downloads.cancel
        await self._do(lambda: end(settings, row.id))

    async def remove(self, row: CacheRow) -> None:
        """Remove a model or a revision, after saying what that takes and gives."""
        settings = self._portal.settings

        def plan() -> DeletionPlan:
            found = plan_deletion(settings, row.key, row.commit)
            check_plan(settings, found)
            return found

        found = await self._try(plan)
        if found is None:
            return
        document = cached_models.plan_json(found)
        asked = describe_removal(self._texts, row.name, document)
        with self._client:
            is_wanted = await confirm(
                self._texts,
                asked.title,
                lost=asked.lost,
                gained=asked.gained,
                action=asked.confirm,
            )
        if not is_wanted:
            return
        done = await self._do(lambda: remove(settings, found)[0])
        if done is not None:
            report = cached_models.report_json(done) or {}
            told = describe_removed(self._texts, row.name, report)
            with self._client:
                ui.notify(told, type="positive", position="top")

    async def _do(self, work: Callable[[], Result]) -> Result | None:
        """Do something in a thread and show what has changed; None when it failed."""
        done = await self._try(work)
        await self._look_at_all()
        return done

    async def _try(self, work: Callable[[], Result]) -> Result | None:
        try:
            return await asyncio.to_thread(work)
        except ServiceError as error:
            told = say_error(self._texts, error.message, error.hint)
            with self._client:
                ui.notify(told, type="negative", position="top", multi_line=True)
            return None

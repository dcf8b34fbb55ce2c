"""Restoring a backup that is uploaded: checked, shown, and put in force when wanted."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from babel.dates import format_datetime
from nicegui import ui

from vllm_pkg.errors import ServiceError, as_sentence
from vllm_pkg.portal.components.buttons import button
from vllm_pkg.portal.components.confirm import confirm
from vllm_pkg.portal.components.program_words import draw_program_words
from vllm_pkg.portal.components.text import Text
from vllm_pkg.service.backup.restoring import restore_backup, verify_backup

if TYPE_CHECKING:
    from nicegui.events import UploadEventArguments

    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.service.backup.restoring import RestoreReport
    from vllm_pkg.service.backup.summary import BackupSummary
    from vllm_pkg.settings import Settings


class Restore(ui.element):
    """
    The button that chooses a backup, and what comes of it.

    Args:
        settings: Settings in force.
        texts: The language.
    """

    def __init__(self, settings: Settings, texts: Texts) -> None:
        super().__init__("div")
        self.classes("vp-stack")
        self._settings, self._texts = settings, texts
        # What waits for an answer outlives the upload.
        self._visitor = ui.context.client
        with self:
            self._upload = ui.upload(auto_upload=True, on_upload=self._take)
            self._upload.classes("hidden").props("accept=.tar")
            with ui.element("div").classes("vp-row"):
                choose = button(texts("settings.backup.restore"), icon="upload_file")
            pick = f"() => getElement({self._upload.id}).pickFiles()"
            choose.on("click", js_handler=pick)
            self._outcome = ui.element("div").classes("vp-stack")
            self._outcome.props("role=status aria-live=polite")
            Text("p", texts("settings.backup.restore_help")).classes(
                "vp-muted vp-small"
            )

    async def _take(self, event: UploadEventArguments) -> None:
        self._say(self._texts("settings.backup.reading"))
        # Beside the state: a backup is private, and may be large.
        folder = Path(tempfile.mkdtemp(prefix="restore-", dir=self._settings.main))
        try:
            path = folder / "backup.tar"
            await event.file.save(path)
            await self._restore(path)
        except ServiceError as error:
            self._outcome.clear()
            with self._outcome:
                told = (as_sentence(error.message), as_sentence(error.hint))
                draw_program_words(self._texts, told)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            self._upload.reset()

    async def _restore(self, path: Path) -> None:
        texts = self._texts
        summary = await asyncio.to_thread(verify_backup, path)
        when = _when(texts, summary)
        with self._visitor:
            is_wanted = await confirm(
                texts,
                texts("settings.backup.question"),
                lost=texts("settings.backup.lost"),
                gained=texts(
                    "settings.backup.gained", when=when, count=summary.named_keys
                ),
                action=texts("settings.backup.confirm"),
            )
        if not is_wanted:
            self._say("")
            return
        report = await asyncio.to_thread(self._put_in_force, path)
        key = "restored" if report.is_restarted else "restored_elsewhere"
        self._say(texts(f"settings.backup.{key}", when=when))

    def _put_in_force(self, path: Path) -> RestoreReport:
        return restore_backup(self._settings, path, restarts=True)

    def _say(self, text: str) -> None:
        self._outcome.clear()
        with self._outcome:
            Text("p", text).classes("vp-lead")


def _when(texts: Texts, summary: BackupSummary) -> str:
    created = datetime.fromisoformat(summary.created)
    return format_datetime(created, "long", locale=texts.locale)

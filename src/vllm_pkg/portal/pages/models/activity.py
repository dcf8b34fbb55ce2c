"""Downloads and checks: how far they are, and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nicegui import ui

from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.program_words import draw_program_words
from vllm_pkg.portal.components.progress import ProgressBar
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.portal.pages.models.job_rows import JobRow
    from vllm_pkg.portal.texts.catalogue import Texts


class Handlers(Protocol):
    """What can be done with downloads and checks; each runs in an event handler."""

    async def cancel(self, row: JobRow) -> None:
        """End a download or check."""

    async def resume(self, row: JobRow) -> None:
        """Go on with a download."""

    async def repair(self, row: JobRow) -> None:
        """Fetch again what a check has found damaged."""


class Activity(ui.element):
    """
    The list of downloads and checks.

    While one goes on, only its sentence and its bar change.

    Args:
        texts: The language.
        handlers: What its buttons do.
    """

    def __init__(self, texts: Texts, handlers: Handlers) -> None:
        super().__init__("ul")
        self.classes("vp-list")
        self._texts, self._handlers = texts, handlers
        self._bars: dict[str, ProgressBar] = {}
        self._shown: tuple[tuple[str, bool], ...] = ()

    def show(self, rows: Sequence[JobRow]) -> None:
        """Show how all of them are now."""
        drawn = tuple((row.id, row.is_running) for row in rows)
        if drawn != self._shown:
            self._shown = drawn
            self._bars = {}
            self.clear()
            with self:
                for row in rows:
                    self._draw(row)
        for row in rows:
            if row.id in self._bars:
                self._bars[row.id].show(row.percent, row.sentence)

    def _draw(self, row: JobRow) -> None:
        with ui.element("li").classes("vp-item"):
            with ui.element("div").classes("vp-item-text"):
                Text("h3", row.name).classes("vp-heading")
                if row.is_running:
                    self._bars[row.id] = ProgressBar(row.label)
                else:
                    self._draw_outcome(row)
            with ui.element("div").classes("vp-item-actions"):
                self._draw_buttons(row)

    def _draw_outcome(self, row: JobRow) -> None:
        icon, tone = ("check_circle", "vp-good") if row.is_well else _SETBACK
        with ui.element("div").classes("vp-answer").props("role=status"):
            ui.icon(icon).props("aria-hidden=true").classes(tone)
            Text("p", row.sentence).classes("vp-lead")
        for line in row.details:
            Text("p", line).classes("vp-muted")
        draw_program_words(self._texts, row.foreign)

    def _draw_buttons(self, row: JobRow) -> None:
        name = row.name
        if row.can_cancel:
            button(
                self._texts("models.downloads.cancel"),
                lambda: self._handlers.cancel(row),
                name=self._texts("models.downloads.cancel_named", repository=name),
            )
        if row.can_resume:
            button(
                self._texts("models.downloads.resume"),
                lambda: self._handlers.resume(row),
                name=self._texts("models.downloads.resume_named", repository=name),
            )
        if row.repairs_fully is not None:
            button(
                self._texts("models.check.repair"),
                lambda: self._handlers.repair(row),
                Look.SECONDARY,
            )


_SETBACK = ("info", "vp-busy")

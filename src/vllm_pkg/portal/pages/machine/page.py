"""The page: what does this machine have, and what is it doing?"""

from __future__ import annotations

import asyncio
import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import app, background_tasks, ui

from vllm_pkg.errors import ServiceError
from vllm_pkg.portal.components.confirm import confirm
from vllm_pkg.portal.components.facts import facts
from vllm_pkg.portal.components.program_words import draw_program_words
from vllm_pkg.portal.components.progress import ProgressBar
from vllm_pkg.portal.components.redrawn import Redrawn
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.pages.machine.chart import HEIGHT, WIDTH
from vllm_pkg.portal.pages.machine.charts import charts
from vllm_pkg.portal.pages.machine.history import SAMPLE_S
from vllm_pkg.portal.pages.machine.programs import draw_programs
from vllm_pkg.portal.pages.machine.rows import (
    gpu_rows,
    program_rows,
    question,
    rest_rows,
    summarize,
)
from vllm_pkg.portal.pages.machine.watching import MachineLook, Watching, look
from vllm_pkg.portal.said import say_error
from vllm_pkg.service.processes import Verb, steer

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.pages.machine.charts import Chart
    from vllm_pkg.portal.pages.machine.rows import GpuRow, ProgramRow
    from vllm_pkg.portal.texts.catalogue import Texts

PATH: Final = "/machine"
BUILD_MAX_S: Final = 15.0


def register(portal: Portal) -> None:
    """Add the page, and keep what it shows from the start of the portal on."""
    watching = Watching(portal.settings)
    app.on_startup(lambda: background_tasks.create(watching.run(), name="machine"))

    @ui.page(PATH, response_timeout=BUILD_MAX_S)
    async def machine(request: Request) -> None:
        texts = request_texts(request)
        first = await asyncio.to_thread(look, portal.settings)
        with page_frame(texts, PATH):
            MachinePage(portal, texts, watching, first)


class MachinePage:
    """
    The page of one visitor.

    Args:
        portal: The running portal.
        texts: The language.
        watching: What was seen in the last minutes.
        first: What is shown first.
    """

    def __init__(
        self, portal: Portal, texts: Texts, watching: Watching, first: MachineLook
    ) -> None:
        self._portal, self._texts, self._watching = portal, texts, watching
        # What waits for an answer may outlive the element that was clicked.
        self._client = ui.context.client
        self._headline = Text("p").classes("vp-headline")
        self._notes = Redrawn(self._draw_notes, tuple(first.machine["notes"]))
        self._gpus = Redrawn(self._draw_gpus, self._gpu_rows(first))
        with section(texts("machine.rest.title")):
            self._rest = Redrawn(_draw_rest, rest_rows(texts, first.machine))
        with section(texts("machine.charts.title")):
            self._charts = Redrawn(self._draw_charts, self._chart_rows(first))
        with section(texts("machine.programs.title")):
            self._programs = Redrawn(self._draw_programs, self._program_rows(first))
        self._show(first)
        ui.timer(SAMPLE_S, self._follow)

    def _show(self, seen: MachineLook) -> None:
        self._headline.say(summarize(self._texts, seen.machine))
        self._notes.show(tuple(seen.machine["notes"]))
        self._gpus.show(self._gpu_rows(seen))
        self._rest.show(rest_rows(self._texts, seen.machine))
        self._charts.show(self._chart_rows(seen))
        self._programs.show(self._program_rows(seen))

    async def _follow(self) -> None:
        self._show(await asyncio.to_thread(look, self._portal.settings))

    def _gpu_rows(self, seen: MachineLook) -> tuple[GpuRow, ...]:
        return gpu_rows(self._texts, seen.machine, seen.users, seen.own_pids)

    def _chart_rows(self, seen: MachineLook) -> tuple[Chart, ...]:
        return charts(self._texts, seen.machine, self._watching.history)

    def _program_rows(self, seen: MachineLook) -> tuple[ProgramRow, ...] | None:
        if seen.programs is None:
            return None
        return program_rows(self._texts, seen.programs, datetime.now(UTC).timestamp())

    def _draw_notes(self, notes: tuple[str, ...]) -> None:
        if notes:
            with section(self._texts("machine.notes.title")):
                draw_program_words(self._texts, notes)

    def _draw_gpus(self, rows: tuple[GpuRow, ...]) -> None:
        if not rows:
            return
        title = self._texts("machine.gpus.title")
        with section(title), ui.element("ul").classes("vp-list"):
            for row in rows:
                with (
                    ui.element("li").classes("vp-item"),
                    ui.element("div").classes("vp-item-text"),
                ):
                    self._draw_gpu(row)

    def _draw_gpu(self, row: GpuRow) -> None:
        Text("h3", row.name).classes("vp-heading")
        if row.percent is None:
            facts(row.facts)
        else:
            ProgressBar(row.name).show(row.percent, row.facts[0])
            facts(row.facts[1:])
        if row.users:
            Text("p", self._texts("machine.gpus.users")).classes("vp-muted vp-small")
            facts(row.users)

    def _draw_charts(self, rows: tuple[Chart, ...]) -> None:
        if not rows:
            Text("p", self._texts("machine.charts.waiting")).classes("vp-muted")
        with ui.element("div").classes("vp-charts"):
            for row in rows:
                with ui.element("figure").classes("vp-chart"):
                    with ui.element("figcaption").classes("vp-row"):
                        Text("span", row.title).classes("vp-muted vp-small")
                        Text("span", row.value).classes("vp-chart-value")
                    ui.html(chart_svg(row), sanitize=False)

    def _draw_programs(self, rows: tuple[ProgramRow, ...] | None) -> None:
        if rows is None:
            Text("p", self._texts("machine.programs.unreachable")).classes("vp-muted")
        elif not rows:
            Text("p", self._texts("machine.programs.none")).classes("vp-muted")
        else:
            draw_programs(self._texts, rows, self._steer)

    async def _steer(self, row: ProgramRow, verb: Verb) -> None:
        """Do something with a program, after saying what that interrupts."""
        asked = question(self._texts, row, verb)
        if asked is not None:
            with self._client:
                is_wanted = await confirm(
                    self._texts,
                    asked.title,
                    lost=asked.lost,
                    gained=asked.gained,
                    action=asked.action,
                )
            if not is_wanted:
                return
        try:
            await asyncio.to_thread(steer, self._portal.settings, row.name, verb)
        except ServiceError as error:
            told = say_error(self._texts, error.message, error.hint)
            with self._client:
                ui.notify(told, type="negative", position="top", multi_line=True)
        else:
            told = self._texts(f"machine.done.{verb}", name=row.title)
            with self._client:
                ui.notify(told, type="positive", position="top")
        await self._follow()


def _draw_rest(rows: tuple[tuple[str, str], ...]) -> None:
    with ui.element("dl").classes("vp-values"):
        for name, value in rows:
            with ui.element("div"):
                Text("dt", name)
                Text("dd", value)


def chart_svg(chart: Chart) -> str:
    """Return a chart as SVG; its colours are the page's."""
    drawn = "".join(f'<polyline points="{points}"/>' for points in chart.lines)
    label = html.escape(chart.label)
    return (
        f'<svg class="vp-chart-svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'preserveAspectRatio="none" aria-label="{label}">{drawn}</svg>'
    )

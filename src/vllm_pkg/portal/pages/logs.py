"""Logs: what went wrong, and what is being written now?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException, Request
from fastapi.responses import StreamingResponse
from nicegui import app, background_tasks, ui

from vllm_pkg.errors import NotFound
from vllm_pkg.portal import wording
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.copying import copy_button
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.logs import log_view
from vllm_pkg.portal.logs.document import LogShelf
from vllm_pkg.portal.logs.failed_start import ENGINE_LOG_ID, log_of_failure
from vllm_pkg.portal.logs.log_view import LogView
from vllm_pkg.portal.logs.reading import Reading
from vllm_pkg.portal.said import say_plainly
from vllm_pkg.service.log_levels import Level
from vllm_pkg.service.log_list import Log, list_logs, log_path, read_text

if TYPE_CHECKING:
    from nicegui.events import GenericEventArguments, ValueChangeEventArguments

    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts

QUERY_MAX: Final = 200
_COPIED_CHARACTERS_MAX: Final = 4 * 1024 * 1024
_ICONS: Final = {Level.ERROR: "error", Level.WARNING: "warning"}
STYLE: Final = """
.vp-main:has(.log-view) { max-width: 100rem; }
.log-frame { position: relative; }
.log-end { position: absolute; right: 1.5rem; bottom: 1rem; }
.log-empty { position: absolute; inset: 1px auto auto 1px; padding: 0.75rem 1rem;
  max-width: 75ch; }
.log-search { flex: 1 1 16rem; }
.log-steps { flex-wrap: nowrap; }
.log-count { min-width: 9rem; font-variant-numeric: tabular-nums; }
.log-source { flex: 0 1 18rem; }
.log-bar { align-items: end; }
.log-chip-error .q-icon { color: var(--vp-bad); }
.log-chip-warning .q-icon { color: var(--vp-busy); }
.q-btn.log-chip[aria-pressed=true] { background: var(--vp-accent-soft);
  color: var(--vp-accent); box-shadow: inset 0 0 0 2px var(--vp-accent); }
"""


def register(portal: Portal) -> None:
    """Add the page."""
    shelf = LogShelf()

    @ui.page("/logs")
    async def logs(
        request: Request, log: str = ENGINE_LOG_ID, find: str = "", failure: str = ""
    ) -> None:
        texts = request_texts(request)
        page = LogsPage(portal, shelf, texts)
        await page.look()
        with page_frame(texts, "/logs"):
            page.draw(log, find[:QUERY_MAX])
        if failure:
            await page.open_failure()
        else:
            page.open(page.log_id)

    @app.get("/logs/{log_id}/file", include_in_schema=False)
    def download(log_id: str) -> StreamingResponse:
        try:
            text = read_text(portal.settings, log_id)
        except NotFound as error:
            raise HTTPException(error.http_status, error.message) from error
        return StreamingResponse(
            text,
            media_type="text/plain; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{log_id}.log"',
                "X-Content-Type-Options": "nosniff",
            },
        )


class LogsPage:
    """
    The page in one browser.

    Args:
        portal: Whose logs.
        shelf: Where they are read.
        texts: The language.
    """

    def __init__(self, portal: Portal, shelf: LogShelf, texts: Texts) -> None:
        self.log_id = ENGINE_LOG_ID
        self._portal = portal
        self._shelf = shelf
        self._texts = texts
        self._logs: tuple[Log, ...] = ()
        self._levels: frozenset[Level] = frozenset()
        self._find = ""
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """See which logs there are, and whether something has failed by now."""
        await self._portal.feed.look()
        self._logs = await asyncio.to_thread(list_logs, self._portal.settings)

    def draw(self, log_id: str, find: str) -> None:
        """
        Draw the page; no log is open yet.

        Args:
            log_id: The log that is chosen; one that does not exist is the engine's.
            find: What to search for at once.
        """
        self._find = find
        if any(log.id == log_id for log in self._logs):
            self.log_id = log_id
        ui.add_css(STYLE + log_view.STYLE)
        self._headline = Text("p").classes("vp-headline")
        self._draw_failure()
        with ui.element("div").classes("vp-row log-bar"):
            self._draw_source()
            self._draw_search(find)
        with ui.element("div").classes("vp-row"):
            self._draw_levels()
            ui.space()
            self._draw_actions()
        self._draw_window()
        self._reading = Reading(self._shelf, self._window, self._tell, self._miss)
        ui.context.client.on_delete(self._close)

    def open(self, log_id: str, evidence: str | None = None) -> None:
        """Open a log, at the line of a failure or at its end."""
        self._close()
        self.log_id = log_id
        self._source.props["value"] = log_id
        self._download.props["href"] = f"/logs/{log_id}/file"
        self._reading.is_following = True
        path = log_path(self._portal.settings, log_id)
        self._task = background_tasks.create(
            self._reading.follow(path, self._find, evidence),
            name=f"logs {log_id}",
            context=ui.context.client,
        )

    async def open_failure(self) -> None:
        """Open the log of the last failure at the line that tells it."""
        evidence = self._evidence()
        if evidence is None:
            self.open(self.log_id)
            return
        log_id = await asyncio.to_thread(log_of_failure, self._logs, evidence)
        if log_id == self.log_id and self._task is not None:
            await self._reading.show_evidence(evidence)
        else:
            self.open(log_id, evidence)

    def _close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _failure(self) -> dict[str, Any] | None:
        state = self._portal.feed.latest.state
        return state["lastFailure"] if state else None

    def _evidence(self) -> str | None:
        failure = self._failure()
        return failure["evidence"] if failure else None

    def _draw_failure(self) -> None:
        failure = self._failure()
        if failure is None:
            return
        with ui.element("section").classes("vp-card vp-banner vp-tone-bad"):
            Text("h2", self._texts("logs.failure"))
            Text("p", failure["summary"]).classes("vp-lead")
            if failure["evidence"]:
                text = self._texts("logs.failure_line")
                button(text, self.open_failure).classes("self-start")

    def _draw_source(self) -> None:
        with ui.element("label").classes("vp-select log-source"):
            Text("span", self._texts("logs.source"))
            with ui.element("select") as self._source:
                ids = [log.id for log in self._logs]
                if ENGINE_LOG_ID not in ids:
                    self._draw_choice(ENGINE_LOG_ID, self._texts("logs.engine"))
                for log in self._logs:
                    self._draw_choice(log.id, self._name(log))
        self._source.on(
            "change", self._choose, js_handler="(e) => emit(e.target.value)"
        )

    def _draw_choice(self, log_id: str, name: str) -> None:
        option = Text("option", name).props(f"value={log_id}")
        option.props["selected"] = log_id == self.log_id

    def _name(self, log: Log) -> str:
        if log.started_at is None:
            return self._texts(f"logs.{log.id}")
        when = wording.instant(self._texts, log.started_at)
        return self._texts("logs.start", when=when)

    def _choose(self, event: GenericEventArguments) -> None:
        if any(log.id == event.args for log in self._logs):
            self.open(str(event.args))

    def _draw_search(self, find: str) -> None:
        texts = self._texts
        self._search = ui.input(
            texts("logs.search"), value=find, on_change=self._type
        ).props("debounce=200")
        self._search.props(f"outlined dense maxlength={QUERY_MAX} aria-keyshortcuts=/")
        self._search.classes("log-search")
        # Enter may come before the field has told its last change.
        keys = "(e) => emit(e.target.value, e.shiftKey)"
        self._search.on("keydown.enter", self._enter, js_handler=keys)
        with ui.element("div").classes("vp-row log-steps"):
            for key, icon, is_back in (
                ("logs.previous", "keyboard_arrow_up", True),
                ("logs.next", "keyboard_arrow_down", False),
            ):
                step = button("", icon=icon, name=texts(key))
                step.on_click(lambda back=is_back: self._reading.step(is_back=back))
            self._found = (
                Text("span").classes("vp-muted log-count").props("role=status")
            )

    async def _type(self, event: ValueChangeEventArguments[str | None]) -> None:
        self._find = (event.value or "")[:QUERY_MAX]
        await self._reading.search(self._find)

    async def _enter(self, event: GenericEventArguments) -> None:
        query, is_back = event.args
        self._find = str(query)[:QUERY_MAX]
        await self._reading.search(self._find)
        await self._reading.step(is_back=bool(is_back))

    def _draw_levels(self) -> None:
        self._chips: dict[Level, ui.button] = {}
        with ui.element("div").classes("vp-row").props("role=group") as group:
            group.props["aria-label"] = self._texts("logs.levels")
            for level in Level:
                chip = button("", icon=_ICONS.get(level)).props("aria-pressed=false")
                chip.classes(f"vp-small-button log-chip log-chip-{level.name.lower()}")
                chip.on_click(lambda level=level: self._toggle(level))
                self._chips[level] = chip

    async def _toggle(self, level: Level) -> None:
        self._levels ^= {level}
        await self._reading.filter(self._levels)

    def _draw_actions(self) -> None:
        texts, loop = self._texts, asyncio.get_running_loop()

        def copied() -> str:
            lines = asyncio.run_coroutine_threadsafe(self._reading.last_lines(), loop)
            return "\n".join(lines.result())[-_COPIED_CHARACTERS_MAX:]

        copy_button(texts, texts("logs.lines"), copied, text=texts("logs.copy"))
        self._download = button(texts("logs.download"), icon="download")
        self._download.props("tag=a download")

    def _draw_window(self) -> None:
        with ui.element("div").classes("log-frame full-width"):
            self._window = LogView(
                self._texts("logs.lines"),
                self._texts("logs.rest"),
                self._search,
                self._give,
                self._set_following,
            )
            self._empty = Text("p").classes("vp-muted log-empty")
            self._end = button(
                self._texts("logs.follow"),
                self._window.follow,
                Look.PRIMARY,
                icon="arrow_downward",
            ).classes("log-end")
            self._end.visible = False

    async def _give(self, edition: int, first: int, end: int) -> None:
        await self._reading.give(edition, first, end)

    def _set_following(self, is_following: bool) -> None:  # noqa: FBT001  # an event
        self._reading.is_following = is_following
        self._end.visible = not is_following

    def _miss(self) -> None:
        ui.notify(self._texts("logs.line_gone"), type="warning")

    def _tell(self) -> None:
        """Tell around the window what is shown in it."""
        document, reader = self._reading.document, self._reading.reader
        if document is None or reader is None:
            return
        texts, view = self._texts, reader.view
        self._levels = view.levels
        for level, chip in self._chips.items():
            name = level.name.lower()
            chip.text = texts(f"logs.level_{name}", count=document.lines.count(level))
            is_chosen = str(level in view.levels).lower()
            if chip.props.get("aria-pressed") != is_chosen:
                chip.props(f"aria-pressed={is_chosen}")
        self._headline.say(self._summary(len(document.lines), is_cut=document.is_cut))
        self._found.say(self._findings(view.query, len(view.matches)))
        if document.error is not None:
            reason = say_plainly(texts, document.error.message)
            self._empty.say(texts("logs.unreadable", reason=reason))
        elif len(view):
            self._empty.say("")
        else:
            key = "logs.filtered" if len(document.lines) else "logs.nothing"
            self._empty.say(texts(key))

    def _summary(self, count: int, *, is_cut: bool) -> str:
        key = "logs.last_lines" if is_cut else "logs.all_lines"
        return self._texts(key, count=count)

    def _findings(self, query: str, count: int) -> str:
        if not query:
            return ""
        if self._reading.match is None:
            return self._texts("logs.found", count=count)
        number = self._reading.match + 1
        return self._texts("logs.found_one", number=number, count=count)

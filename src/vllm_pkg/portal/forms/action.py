"""An action on a page or in a dialog: its form, its run and its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from vllm_pkg.actions.protocol import Single
from vllm_pkg.actions.registry import action_input, list_actions
from vllm_pkg.errors import InvalidArgument, ServiceError, UnknownAction, as_sentence
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.program_words import ProgramWords
from vllm_pkg.portal.components.progress import ProgressBar
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.confirm import Question, ask
from vllm_pkg.portal.forms.form import FormView
from vllm_pkg.portal.forms.model import build_form
from vllm_pkg.portal.forms.native import (
    element,
    focus_on,
    on_escape,
    set_attributes,
    submit_button,
)
from vllm_pkg.portal.forms.results import draw_result
from vllm_pkg.portal.forms.translated import (
    translate_metadata,
    translate_result,
    translate_spec,
)
from vllm_pkg.service.acting import act, action_context

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionInput
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.settings import Settings

# Called with the result's JSON after the action has run.
OnDone = Callable[[dict[str, Any]], None]


def open_action(
    portal: Portal,
    texts: Texts,
    action_id: str,
    prefill: dict[str, Any] | None = None,
    on_done: OnDone | None = None,
) -> None:
    """
    Open the dialog of an action; call it from an event handler of a page.

    Args:
        portal: The running portal.
        texts: The language of who asks.
        action_id: Which action.
        prefill: What the form begins with instead of what is saved; may be partial.
        on_done: Called with the result's JSON when the action has run.
    """
    # Not where the button stands: it may be gone before the result has been read.
    with ui.context.client:
        dialog = ui.dialog().props("persistent no-shake")
    with dialog, ui.element("div").classes("vp-dialog form-dialog") as card:
        view = ActionView(portal, texts, action_id, prefill)
    view.on_done, view.on_leave = on_done, dialog.close
    set_attributes(dialog, aria_labelledby=view.title.html_id)
    on_escape(card, view.leave)
    dialog.on("hide", dialog.delete, args=[])
    dialog.open()


@dataclass(frozen=True)
class _Opened:
    """
    What an action is as it opens.

    Args:
        metadata: In StartOS's shape.
        form: Its form.
    """

    metadata: dict[str, Any]
    form: ActionInput


def _open(settings: Settings, action_id: str) -> _Opened:
    context = action_context(settings)
    form = action_input(context, action_id)
    known = {entry["id"]: entry for entry in list_actions(context)}
    return _Opened(known[action_id], form)


class ActionView:
    """
    An action, drawn where it is made: opening, filled in, running, done.

    Args:
        portal: The running portal.
        texts: The language of who asks.
        action_id: Which action.
        prefill: What the form begins with instead of what is saved.
        is_page: Whether it has a page of its own, which bears its name already.
    """

    def __init__(
        self,
        portal: Portal,
        texts: Texts,
        action_id: str,
        prefill: dict[str, Any] | None,
        *,
        is_page: bool = False,
    ) -> None:
        self._settings, self._texts, self._id = portal.settings, texts, action_id
        self._prefill, self._is_page = prefill, is_page
        self._form: FormView | None = None
        self._is_running = False
        self._is_leaving = False
        # Whether there is a value that is seen now or never, and nobody has seen it.
        self._is_unseen = False
        self.on_done: OnDone | None = None
        self.on_leave: Callable[[], Any] = lambda: ui.navigate.to("/")
        self.title = Text("h2", texts("forms.action.opening")).classes(
            "vp-headline form-title"
        )
        set_attributes(self.title, tabindex="-1")
        with ui.element("div").classes("form-body") as self._body:
            ui.skeleton(height="12rem").props("aria-hidden=true")
        background_tasks.create(self._begin(), context=self._body)

    async def leave(self) -> None:
        """Leave; asks where something would be lost, and waits while it runs."""
        if self._is_running or self._is_leaving:
            return
        texts, lost = self._texts, self._lost_by_leaving()
        if lost is None:
            self.on_leave()
            return
        question = Question(
            title=texts(f"forms.{lost}.title"),
            text=texts(f"forms.{lost}.text"),
            yes=texts("forms.leave.yes"),
            no=texts("forms.leave.no"),
        )
        self._is_leaving = True
        try:
            is_sure = await self._is_sure(question)
        finally:
            self._is_leaving = False
        if is_sure:
            self.on_leave()

    def _lost_by_leaving(self) -> str | None:
        """Return which question asks for what would be lost; None: nothing would."""
        if self._is_unseen:
            return "unseen"
        is_changed = self._form is not None and self._form.form.is_changed
        return "leave" if is_changed else None

    def _see(self) -> None:
        self._is_unseen = False

    async def _is_sure(self, question: Question) -> bool:
        with self._body:
            return await ask(question)

    async def _is_confirmed(self) -> bool:
        texts, warning = self._texts, self._metadata["warning"]
        question = Question(
            title=texts("forms.sure.title", name=self._metadata["name"]),
            text=warning,
            yes=texts("forms.sure.yes"),
            no=texts("forms.sure.no"),
        )
        return not warning or await self._is_sure(question)

    async def _begin(self) -> None:
        try:
            opened = await asyncio.to_thread(_open, self._settings, self._id)
        except UnknownAction as error:
            self._show_end(self._texts("forms.action.unknown"), error)
        except ServiceError as error:
            self._show_end(self._texts("forms.action.failed"), error)
        else:
            if not self._body.is_deleted:
                self._draw_form(opened)

    def _draw_form(self, opened: _Opened) -> None:
        metadata = translate_metadata(self._texts, opened.metadata)
        self._metadata = metadata
        self.title.set_text(metadata["description" if self._is_page else "name"])
        spec = translate_spec(self._texts, opened.form.spec)
        form = build_form(spec, opened.form.value, self._prefill)
        self._body.clear()
        with self._body:
            if not self._is_page:
                Text("p", metadata["description"]).classes("vp-lead")
            self._form = FormView(form, self._texts, self._run)
            with self._form.element:
                self._failure = element("div", role="alert").classes("form-alert")
                self._draw_buttons(metadata)
        controls = self._form.first_controls(form)
        focus_on(controls[0].html_id if controls else self._button.html_id)

    def _draw_buttons(self, metadata: dict[str, Any]) -> None:
        texts, visibility = self._texts, metadata["visibility"]
        is_off = isinstance(visibility, dict)
        if is_off:
            Text("p", visibility["disabled"]).classes("form-reason")
        self._progress = element("div", role="status", tabindex="-1")
        with ui.element("div").classes("vp-dialog-buttons"):
            button(texts("frame.cancel"), self.leave)
            self._button = submit_button(metadata["name"], is_off=is_off)

    async def _run(self, value: dict[str, Any]) -> None:
        if self._is_running or self._form is None:
            return
        self._failure.clear()
        if not await self._is_confirmed():
            return
        self._set_running(is_running=True)
        # An action without a form takes no input.
        given = value if self._form.form.parts else None
        try:
            result = await asyncio.to_thread(act, self._settings, self._id, given)
        except InvalidArgument as error:
            self._set_running(is_running=False)
            self._form.show_problems(error.fields)
            if not error.fields:
                self._show_failure(error)
        except ServiceError as error:
            self._set_running(is_running=False)
            self._show_failure(error)
        else:
            self._is_running = False
            content = result.content
            self._is_unseen = isinstance(content, Single) and content.is_shown_once
            self._show_result(result.as_json())

    def _set_running(self, *, is_running: bool) -> None:
        if self._body.is_deleted or self._form is None:
            return
        self._is_running = is_running
        self._form.set_busy(is_busy=is_running)
        self._button.set_enabled(not is_running)
        self._progress.clear()
        if is_running:
            with self._progress:
                bar = ProgressBar(self._metadata["name"])
            bar.show(None, self._texts("forms.action.running"))
            focus_on(self._progress.html_id)

    def _show_failure(self, error: ServiceError) -> None:
        if self._body.is_deleted:
            return
        self._failure.clear()
        with self._failure:
            ProgramWords("p", self._texts, as_sentence(error.message))
            ProgramWords("p", self._texts, as_sentence(error.hint))
        # It stood on what showed the progress, which is gone.
        focus_on(self._button.html_id)

    def _show_result(self, result: dict[str, Any]) -> None:
        if self.on_done is not None:
            self.on_done(result)
        if self._body.is_deleted:
            return
        self._form = None
        result = translate_result(self._texts, result)
        self.title.set_text(result["title"])
        self._body.clear()
        with self._body:
            draw_result(result, self._texts, self._see)
            self._draw_close()
        focus_on(self.title.html_id)

    def _show_end(self, title: str, error: ServiceError) -> None:
        if self._body.is_deleted:
            return
        self.title.set_text(title)
        self._body.clear()
        with self._body:
            with element("div", role="alert").classes("form-alert"):
                ProgramWords("p", self._texts, as_sentence(error.message))
                ProgramWords("p", self._texts, as_sentence(error.hint))
            self._draw_close()

    def _draw_close(self) -> None:
        with ui.element("div").classes("vp-dialog-buttons"):
            button(self._texts("frame.close"), self.leave, Look.PRIMARY)

"""Asking whether any repository runs here, before a byte of it is downloaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from nicegui import ui

from vllm_pkg.actions.fit_answer import assess_in_time
from vllm_pkg.engine.acceptor import accept_arguments
from vllm_pkg.engine.arguments import split_arguments
from vllm_pkg.engine.options import load_options
from vllm_pkg.errors import InvalidArgument, ServiceError, as_sentence
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.plain_field import PlainField
from vllm_pkg.portal.components.program_words import draw_program_words
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.pages.models.fit_answer import describe_answer, is_repository
from vllm_pkg.portal.said import say_plainly
from vllm_pkg.service.acting import action_context
from vllm_pkg.state.store import load_store
from vllm_pkg.state.switch import Selected

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vllm_pkg.models.sizing.assess import Assessment
    from vllm_pkg.portal.pages.models.fit_answer import FitAnswer
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.settings import Settings

# A person who asks waits; the Hub may take long, or not answer at all.
ANSWER_MAX_S: Final = 15.0
_PATH: Final = ("arguments",)
# Icon and colour of each answer; the title says it in words.
_SIGNS: Final = {
    Verdict.RUNS: ("check_circle", "vp-good"),
    Verdict.RUNS_WITH_CHANGE: ("build_circle", "vp-busy"),
    Verdict.DOES_NOT_RUN: ("cancel", "vp-bad"),
    Verdict.UNKNOWN: ("help", "vp-busy"),
}


class FitQuestion(ui.element):
    """
    The fields, the button, and the answer below them.

    Args:
        settings: Settings in force.
        texts: The language.
        on_use: Called with what Set Model's form is to begin with.
        on_download: Called with the repository that is to be downloaded.
    """

    def __init__(
        self,
        settings: Settings,
        texts: Texts,
        on_use: Callable[[dict[str, Any]], None],
        on_download: Callable[[str], object],
    ) -> None:
        super().__init__("div")
        self.classes("vp-stack")
        self._settings, self._texts = settings, texts
        self._on_use, self._on_download = on_use, on_download
        with self:
            self._repository = PlainField(
                texts("models.fit.repository"),
                texts("models.fit.repository_help"),
                self._ask,
                is_code=True,
            )
            self._arguments = PlainField(
                texts("models.fit.arguments"),
                texts("models.fit.arguments_help"),
                self._ask,
                is_code=True,
            )
            with ui.element("div").classes("vp-row"):
                self._button = button(texts("models.fit.ask"), self._ask)
            self._answer = ui.element("div").classes("vp-stack")
            self._answer.props("role=status aria-live=polite")

    async def _ask(self) -> None:
        if not self._button.enabled:
            return
        repository = self._repository.value
        if not is_repository(repository):
            self._repository.complain(self._texts("models.fit.repository_wrong"))
            return
        try:
            options = load_options()
            typed = split_arguments(f"{repository} {self._arguments.value}", _PATH)
            accepted = accept_arguments(typed, options, _PATH)
        except InvalidArgument as error:
            told = error.fields[0].message if error.fields else error.message
            self._arguments.complain(say_plainly(self._texts, as_sentence(told)))
            return
        self._show_waiting()
        serve_args = accepted.arguments
        try:
            assessment = await asyncio.to_thread(assess, self._settings, serve_args)
        except ServiceError as error:
            self._show_error(error)
        else:
            self._show(describe_answer(self._texts, assessment, serve_args, options))
        finally:
            self._button.enable()

    def _show_waiting(self) -> None:
        self._button.disable()
        self._answer.clear()
        with self._answer, ui.element("div").classes("vp-row"):
            ui.spinner(size="1.25rem").props("aria-hidden=true")
            Text("p", self._texts("models.fit.asking")).classes("vp-muted")

    def _show_error(self, error: ServiceError) -> None:
        self._answer.clear()
        with self._answer:
            told = (as_sentence(error.message), as_sentence(error.hint))
            draw_program_words(self._texts, told)

    def _show(self, answer: FitAnswer) -> None:
        icon, tone = _SIGNS[answer.verdict]
        self._answer.clear()
        with self._answer:
            with ui.element("div").classes("vp-answer"):
                ui.icon(icon).props("aria-hidden=true").classes(tone)
                Text("h3", answer.title).classes("vp-heading")
            for sentence in answer.details:
                Text("p", sentence).classes("vp-lead")
            draw_program_words(self._texts, answer.foreign)
            with ui.element("div").classes("vp-row"):
                self._draw_choices(answer)

    def _draw_choices(self, answer: FitAnswer) -> None:
        for choice in answer.choices:
            if choice.change:
                text = self._texts("models.fit.use_changed", change=choice.change)
            elif answer.verdict is Verdict.UNKNOWN:
                text = self._texts("models.fit.use_anyway")
            else:
                text = self._texts("models.fit.use")
            button(text, lambda prefill=choice.prefill: self._on_use(prefill))
        if answer.verdict in {Verdict.RUNS, Verdict.RUNS_WITH_CHANGE}:
            repository = self._repository.value
            button(
                self._texts("models.fit.download"),
                lambda: self._on_download(repository),
                Look.QUIET,
            )


def assess(settings: Settings, serve_args: tuple[str, ...]) -> Assessment:
    """
    Say whether arguments run here, or that nobody knows within reasonable time.

    Raises:
        ServiceError: the state cannot be read.
    """
    target = Selected(serve_args, load_store(settings).serve_env)
    return assess_in_time(action_context(settings), target, ANSWER_MAX_S)

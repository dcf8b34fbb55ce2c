"""A conversation with the served model, kept in the page and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from nicegui import background_tasks, ui

from vllm_pkg.portal.chat import wording
from vllm_pkg.portal.chat.answer import Answer
from vllm_pkg.portal.chat.conversation import AnswerView, Conversation
from vllm_pkg.portal.chat.kinds import AnswerSettings, Kind, question
from vllm_pkg.portal.chat.problems import EngineProblem
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.native import write_unless_typed

if TYPE_CHECKING:
    from collections.abc import Callable

    from nicegui.events import GenericEventArguments

    from vllm_pkg.portal.chat.engine_client import EngineClient
    from vllm_pkg.portal.chat.kinds import Served
    from vllm_pkg.portal.texts.catalogue import Texts

QUESTION_MAX: Final = 200_000
TEMPERATURE_MAX: Final = 2.0
# Enter sends, unless it ends the composing of a character.
_ENTER: Final = """(e) => {
  if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
  e.preventDefault();
  emit(e.target.value);
}"""


class ChatBox:
    """
    Questions, answers, and the field for the next question.

    Args:
        texts: The language.
        connect: Returns who is asked; raises `EngineProblem` when nobody can be.
    """

    def __init__(self, texts: Texts, connect: Callable[[], EngineClient]) -> None:
        self._texts = texts
        self._connect = connect
        self._served: Served | None = None
        self._turns: list[tuple[str, str]] = []
        self._task: asyncio.Task[None] | None = None
        self._can_ask = False
        self._draw()
        ui.context.client.on_delete(self.stop)

    def show(self, served: Served | None, *, can_ask: bool) -> None:
        """
        Say whom a question would go to.

        Args:
            served: The model; None: not known now, which the conversation survives.
            can_ask: Whether it answers.
        """
        self._served = served or self._served
        self._can_ask = can_ask
        is_chat = self._served is None or self._served.kind is Kind.CHAT
        self._system.visible = is_chat
        self._set_buttons()

    def stop(self) -> None:
        """End the answer that is coming, and the engine's work on it."""
        if self._task is not None:
            self._task.cancel()

    def _draw(self) -> None:
        texts = self._texts
        self._list = Conversation(texts("try.conversation"))
        self._status = Text("span").classes("vp-visually-hidden").props("role=status")
        self._field = ui.textarea(texts("try.question"))
        self._field.props(f"outlined autogrow maxlength={QUESTION_MAX}")
        self._field.classes("full-width").on("keydown", self._enter, js_handler=_ENTER)
        Text("p", texts("try.enter_help")).classes("vp-muted vp-small")
        self._note = Text("p").classes("vp-bad").props("role=status")
        with ui.element("div").classes("vp-row"):
            self._send = button(texts("try.send"), self._click, Look.PRIMARY)
            self._stop = button(texts("try.stop"), self.stop, icon="stop")
            self._clear = button(texts("try.clear"), self._forget)
        self._draw_settings()
        self._set_buttons()

    def _draw_settings(self) -> None:
        texts = self._texts
        with ui.element("details").classes("chat-settings"):
            Text("summary", texts("try.settings"))
            with ui.element("div").classes("vp-stack"):
                self._system = ui.textarea(texts("try.system"))
                self._system.props("outlined autogrow").classes("full-width")
                self._temperature = ui.number(
                    texts("try.temperature"), min=0, max=TEMPERATURE_MAX, step=0.1
                ).props("outlined clearable")
                self._max_tokens = ui.number(
                    texts("try.max_tokens"), min=1, step=1, precision=0
                ).props("outlined clearable")
                Text("p", texts("try.settings_help")).classes("vp-muted vp-small")
                Text("p", texts("try.measured_help")).classes("vp-muted vp-small")

    def _settings(self) -> AnswerSettings:
        limit = self._max_tokens.value
        return AnswerSettings(
            system=(self._system.value or "").strip(),
            temperature=self._temperature.value,
            max_tokens=None if limit is None else int(limit),
        )

    def _set_buttons(self) -> None:
        is_answering = self._task is not None
        self._send.visible = not is_answering
        self._stop.visible = is_answering
        self._send.set_enabled(self._can_ask)
        self._clear.set_enabled(bool(self._turns) and not is_answering)

    def _enter(self, event: GenericEventArguments) -> None:
        self._ask(str(event.args))

    def _click(self) -> None:
        self._ask(self._field.value or "")

    def _forget(self) -> None:
        self._turns.clear()
        self._list.clear()
        self._status.say(self._texts("try.cleared"))
        self._set_buttons()

    def _ask(self, text: str) -> None:
        if not text.strip() or self._task is not None:
            return
        self._note.say("" if self._can_ask else self._texts("try.not_now"))
        if not self._can_ask:
            return
        write_unless_typed(self._field, "")
        self._turns.append(("user", text[:QUESTION_MAX]))
        with self._list:
            with ui.element("div").classes("chat-turn chat-question"):
                said = self._texts("try.said_by_you")
                Text("span", said).classes("vp-visually-hidden")
                Text("span", text)
            view = AnswerView(self._texts)
        self._list.go_to_end()
        self._task = background_tasks.create(
            self._answer(view), name="answer", context=ui.context.client
        )
        self._set_buttons()

    async def _answer(self, view: AnswerView) -> None:
        answer, problem = Answer(0.0), ""
        self._list.set_busy(is_busy=True)
        self._status.say(self._texts("try.answering"))
        try:
            if self._served is None:
                return
            path, body = question(self._served, self._settings(), self._turns)
            pieces = self._connect().answer(path, body)
            async with contextlib.aclosing(pieces):
                async for answer in pieces:
                    await view.draw(answer)
            problem = self._texts("try.cut_off") if answer.is_cut else ""
            self._status.say(self._texts("try.answered"))
        except EngineProblem as found:
            problem = wording.problem(self._texts, found, self._served)
            self._status.say(problem)
        except asyncio.CancelledError:
            problem = self._texts("try.stopped")
            self._status.say(problem)
        finally:
            self._task = None
        self._keep(answer)
        await view.draw(answer, is_whole=True)
        view.tell(wording.measures(self._texts, answer), problem)
        self._list.set_busy(is_busy=False)
        self._set_buttons()

    def _keep(self, answer: Answer) -> None:
        """Keep what came for the questions that follow."""
        if answer.text:
            self._turns.append(("assistant", answer.text))
        else:
            # Two questions in a row are refused by some models.
            self._turns.pop()

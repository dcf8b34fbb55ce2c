"""How near texts are to each other, for models that turn texts into vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from vllm_pkg.portal.chat import wording
from vllm_pkg.portal.chat.kinds import cosine
from vllm_pkg.portal.chat.problems import EngineProblem
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.chat.engine_client import EngineClient
    from vllm_pkg.portal.chat.kinds import Served
    from vllm_pkg.portal.texts.catalogue import Texts

TEXTS_MIN: Final = 2
TEXTS_MAX: Final = 8

STYLE: Final = """
.similarity-track { height: 12px; max-width: 30rem; border-radius: 6px;
  background: var(--vp-sunken); box-shadow: inset 0 0 0 1px var(--vp-edge); }
.similarity-bar { height: 100%; border-radius: 6px; background: var(--vp-accent); }
"""


class SimilarityBox:
    """
    Fields for texts, and how near each is to the first.

    Args:
        texts: The language.
        connect: Returns who is asked; raises `EngineProblem` when nobody can be.
    """

    def __init__(self, texts: Texts, connect: Callable[[], EngineClient]) -> None:
        self._texts = texts
        self._connect = connect
        self._served: Served | None = None
        self._fields: list[ui.textarea] = []
        self._list = ui.element("div").classes("vp-stack")
        for _ in range(TEXTS_MIN):
            self._add()
        with ui.element("div").classes("vp-row"):
            self._compare = button(texts("try.compare"), self._click, Look.PRIMARY)
            self._more = button(texts("try.add_text"), self._add, icon="add")
        self._problem = Text("p").classes("vp-bad").props("role=status")
        self._results = ui.element("div").classes("vp-stack").props("aria-live=polite")

    def show(self, served: Served | None, *, can_ask: bool) -> None:
        """Say whom the texts would go to, and whether it answers."""
        self._served = served or self._served
        self._compare.set_enabled(can_ask)

    def _add(self) -> None:
        number = len(self._fields) + 1
        with self._list:
            field = ui.textarea(self._texts("try.text", number=number))
            field.props("outlined autogrow").classes("full-width")
        self._fields.append(field)
        if number == TEXTS_MAX:
            self._more.disable()

    async def _click(self) -> None:
        written = [
            (number, field.value.strip())
            for number, field in enumerate(self._fields, 1)
            if (field.value or "").strip()
        ]
        self._results.clear()
        if len(written) < TEXTS_MIN or self._served is None:
            self._problem.say(self._texts("try.two_texts"))
            return
        self._problem.say("")
        self._compare.disable()
        try:
            inputs = [text for _, text in written]
            vectors = await self._connect().embed(self._served.name, inputs)
        except EngineProblem as found:
            self._problem.say(wording.problem(self._texts, found, self._served))
            return
        finally:
            self._compare.enable()
        with self._results:
            for (number, _), vector in zip(written[1:], vectors[1:], strict=True):
                self._draw_result(number, cosine(vectors[0], vector))

    def _draw_result(self, number: int, value: float) -> None:
        told = wording.similarity(self._texts, number, value)
        Text("p", told).classes("vp-lead")
        share = f"{max(0.0, value):.0%}"
        with ui.element("div").classes("similarity-track").props("aria-hidden=true"):
            ui.element("div").classes("similarity-bar").style(f"width: {share}")

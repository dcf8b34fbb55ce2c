"""The phases of a start: what is done, what goes on, what is to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.phase_rows import SHOWN, State, phase_rows
from vllm_pkg.portal.start_words import phase_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.portal.phase_rows import PhaseRow
    from vllm_pkg.portal.texts.catalogue import Texts

_ICONS = {
    State.DONE: "check_circle",
    State.NOW: "pending",
    State.LATER: "radio_button_unchecked",
    State.SKIPPED: "remove_circle_outline",
}


class PhaseList(ui.element):
    """
    One line per phase, changed in place.

    Args:
        texts: The language.
    """

    def __init__(self, texts: Texts) -> None:
        super().__init__("ol")
        self.classes("vp-phases")
        with self:
            self._rows = [_Row(phase_name(texts, phase)) for phase in SHOWN]
        self._texts = texts

    def show(self, start: Mapping[str, Any]) -> None:
        """Show a start, as the status tells of it."""
        for row, told in zip(self._rows, phase_rows(self._texts, start), strict=True):
            row.show(told)


class _Row:
    def __init__(self, name: str) -> None:
        with ui.element("li") as self._row:
            self._icon = ui.icon("").props("aria-hidden=true")
            Text("span", name)
            self._told = Text("span").classes("vp-phase-told")
        self._state: State | None = None

    def show(self, told: PhaseRow) -> None:
        self._told.say(told.text)
        if told.state is self._state:
            return
        self._state = told.state
        self._icon.set_name(_ICONS[told.state])
        self._row.classes(replace=f"vp-phase-is-{told.state}")
        if told.state is State.NOW:
            self._row.props("aria-current=step")
        else:
            self._row.props(remove="aria-current")

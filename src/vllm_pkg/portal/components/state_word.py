"""The state in a word, with an icon and a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.situation import SIGNS, Situation, Tone, word

if TYPE_CHECKING:
    from vllm_pkg.portal.texts.catalogue import Texts


class StateWord(ui.element):
    """
    A situation as icon and word.

    Args:
        texts: The language.
        situation: What is shown first.
        is_live: Whether changes are read out, politely. One per page is enough.
    """

    def __init__(
        self, texts: Texts, situation: Situation, *, is_live: bool = False
    ) -> None:
        super().__init__("span")
        self.classes("vp-state")
        if is_live:
            self.props("role=status aria-live=polite")
        self._texts = texts
        with self:
            self._icon = ui.icon("").props("aria-hidden=true")
            self._word = Text("span")
        self.show(situation)

    def show(self, situation: Situation) -> None:
        """Show another situation."""
        sign = SIGNS[situation]
        self._icon.set_name(sign.icon)
        self._word.say(word(self._texts, situation))
        others = " ".join(f"vp-{tone}" for tone in Tone if tone is not sign.tone)
        self.classes(f"vp-{sign.tone}", remove=others)


def state_word(
    texts: Texts, situation: Situation, *, is_live: bool = False
) -> StateWord:
    """Show a situation as icon and word; see `StateWord`."""
    return StateWord(texts, situation, is_live=is_live)

"""What the program says, in the reader's language; marked where it stays English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.said import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.portal.texts.catalogue import Texts


class ProgramWords(Text):
    """
    Words of the program, which can be changed in place.

    Args:
        tag: Such as ``p``.
        texts: The language.
        told: What the program says, in English.
    """

    def __init__(self, tag: str, texts: Texts, told: str = "") -> None:
        super().__init__(tag)
        self._texts = texts
        self._told = ""
        self.tell(told)

    def tell(self, told: str) -> None:
        """Change what it says; where that is nothing new, nothing is sent."""
        if told == self._told:
            return
        self._told = told
        parts = say(self._texts, told)
        is_foreign = all(part.is_foreign for part in parts)
        # So that it is read out as what it is.
        self.props(remove="lang")
        if is_foreign:
            self.props("lang=en")
        self.clear()
        if is_foreign or len(parts) == 1:
            self.say(" ".join(part.text for part in parts))
            return
        self.say("")
        with self:
            for position, part in enumerate(parts):
                piece = Text("span", f" {part.text}" if position else part.text)
                if part.is_foreign:
                    piece.props("lang=en")


def draw_program_words(texts: Texts, told: Iterable[str]) -> None:
    """Draw sentences of the program as small paragraphs."""
    for sentence in told:
        ProgramWords("p", texts, sentence).classes("vp-muted")

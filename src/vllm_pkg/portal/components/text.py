"""Elements that hold a text, under the tag that says what the text is."""

from __future__ import annotations

from nicegui.elements.mixins.text_element import TextElement


class Text(TextElement):
    """
    A text that can be changed in place.

    Args:
        tag: Such as ``p`` or ``h2``.
        text: What it says.
    """

    def __init__(self, tag: str, text: str = "") -> None:
        super().__init__(tag=tag, text=text)

    def say(self, text: str) -> None:
        """Change what it says; where that is nothing new, nothing is sent."""
        if text != self.text:
            self.text = text

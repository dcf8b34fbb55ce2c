"""A part of a page that is drawn anew when what it shows has changed, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


class Redrawn(ui.element, Generic[Value]):
    """
    A part of a page that shows a value.

    Args:
        draw: Draws it; called inside the part.
        value: What is shown first.
    """

    def __init__(self, draw: Callable[[Value], None], value: Value) -> None:
        super().__init__("div")
        self.classes("vp-stack")
        self._draw = draw
        self._shown = value
        with self:
            draw(value)

    def show(self, value: Value) -> None:
        """Show another value; an equal one leaves focus and scrolling alone."""
        if value == self._shown:
            return
        self._shown = value
        self.clear()
        with self:
            self._draw(value)

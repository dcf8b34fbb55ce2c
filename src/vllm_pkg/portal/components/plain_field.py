"""One line of text to type: label above, help below, the error in the help's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable


class PlainField(ui.element):
    """
    A field for a line of text.

    Args:
        label: What is asked for.
        help_text: What helps to answer.
        on_enter: Called when the Enter key is pressed in it.
        is_code: Whether what is typed is code.
    """

    def __init__(
        self,
        label: str,
        help_text: str,
        on_enter: Callable[[], object],
        *,
        is_code: bool = False,
    ) -> None:
        super().__init__("div")
        self.classes("vp-field")
        self._help_text = help_text
        with self:
            caption = Text("label", label)
            self._input = ui.input(on_change=lambda: self.complain(None))
            self._input.props("outlined dense hide-bottom-space no-error-icon")
            self._input.props(f'for="{self.html_id}-input" autocomplete=off')
            self._input.props(f'aria-describedby="{self.html_id}-help"')
            if is_code:
                self._input.props("input-class=vp-mono spellcheck=false")
            self._input.on("keydown.enter", on_enter, args=[])
            caption.props(f'for="{self.html_id}-input"')
            self._help = Text("p", help_text).classes("vp-muted vp-small")
            self._help.props(f'id="{self.html_id}-help"')

    @property
    def value(self) -> str:
        """What was typed, without spaces around it."""
        return str(self._input.value or "").strip()

    def complain(self, problem: str | None) -> None:
        """Say what is wrong, in place of the help; None: nothing is."""
        is_wrong = problem is not None
        self._help.say(self._help_text if problem is None else problem)
        self._help.classes(
            add="vp-bad" if is_wrong else "vp-muted",
            remove="vp-muted" if is_wrong else "vp-bad",
        )
        self._input.props(f"aria-invalid={'true' if is_wrong else 'false'}")
        if is_wrong:
            self._input.run_method("focus")

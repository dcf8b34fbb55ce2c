"""What every field has: label above, help below, and the error in the help's place."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.hints import help_of, label_of, reason_of
from vllm_pkg.portal.forms.native import element, set_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vllm_pkg.portal.forms.model import Node
    from vllm_pkg.portal.texts.catalogue import Texts


@dataclass(eq=False)
class Drawn:
    """
    One field as it is drawn.

    Args:
        label: Its label.
        help: What it is for.
        error: Where its problem stands.
        described_by: Ids of what describes it, for its controls.
        controls: What takes its value; the first one gets the focus.
        restore: Shows the value of its node anew.
        reveal: Unfolds what it stands in, if that can be folded.
    """

    label: ui.element
    help: ui.element
    error: ui.element
    described_by: str
    controls: list[ui.element] = field(default_factory=list)
    restore: Callable[[], object] = lambda: None
    reveal: Callable[[], None] = lambda: None

    def show_problem(self, text: str | None) -> None:
        """Show what is wrong in place of the help; None shows the help again."""
        self.error.clear()
        if text is not None:
            with self.error:
                ui.icon("error").props("aria-hidden=true")
                Text("span", text)
        self.error.set_visibility(text is not None)
        self.help.set_visibility(text is None)
        for control in self.controls:
            set_attributes(control, aria_invalid=None if text is None else "true")
            if isinstance(control, ui.input):
                # Draws the border in the colour of errors.
                set_attributes(control, error=text is not None)

    @property
    def focus_id(self) -> str:
        """Id of what gets the focus."""
        enabled = [item for item in self.controls if not item.props.get("disabled")]
        checked = [item for item in enabled if item.props.get("checked")]
        return (checked or enabled or [self.label])[0].html_id


@contextlib.contextmanager
def field_frame(node: Node, texts: Texts, *, is_group: bool = False) -> Iterator[Drawn]:
    """
    Draw what surrounds a field; its controls go inside the block.

    Args:
        node: The field.
        texts: The language of the page.
        is_group: Whether it has several controls, which the label names together.
    """
    with ui.element("div").classes("form-field"):
        label = Text("div" if is_group else "label", label_of(node, texts))
        label.classes("form-label")
        place = ui.element("div").classes("form-control")
        drawn = draw_messages(node, texts, label)
    with place:
        yield drawn
    if not is_group and drawn.controls:
        set_attributes(label, for_=drawn.controls[0].html_id)


def draw_messages(node: Node, texts: Texts, label: ui.element) -> Drawn:
    """Draw what stands below a field: why it is off, help or error, footnote."""
    with ui.element("div").classes("form-messages"):
        help_ = element("div").classes("form-help")
        error = element("div").classes("form-error")
        error.set_visibility(False)
        note = element("div").classes("form-footnote")
    with help_:
        if reason := reason_of(node, texts):
            with ui.element("div").classes("form-reason"):
                ui.icon("lock").props("aria-hidden=true")
                Text("span", reason)
        for line in help_of(node, texts):
            Text("div", line)
    if footnote := node.field.get("footnote"):
        with note:
            Text("span", footnote)
    parts = (help_, error, note)
    return Drawn(label, help_, error, " ".join(part.html_id for part in parts))

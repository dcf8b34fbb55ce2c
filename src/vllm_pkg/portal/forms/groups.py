"""Fields with fields in them: objects, and unions with their variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nicegui import ui

from vllm_pkg.portal.forms.choices import choice_of_one, take_over
from vllm_pkg.portal.forms.field import Drawn, field_frame
from vllm_pkg.portal.forms.native import element

if TYPE_CHECKING:
    from vllm_pkg.portal.forms.form import FormView
    from vllm_pkg.portal.forms.model import Node, Union


def draw_object(form: FormView, node: Node) -> Drawn:
    """Draw an object: its fields, set apart under its name."""
    with field_frame(node, form.texts, is_group=True) as drawn:
        group = element(
            "div",
            role="group",
            aria_labelledby=drawn.label.html_id,
            aria_describedby=drawn.described_by,
        )
        with group.classes("form-nested"):
            form.draw_children(node)
    # A group takes no focus: its first field stands for it.
    drawn.controls.extend(form.first_controls(node))
    return drawn


def draw_union(form: FormView, node: Node) -> Drawn:
    """
    Draw a union: the choice, and the fields of the chosen variant.

    The fields of other variants stay where they are, hidden, with what was typed.
    """
    union = cast("Union", node)
    bodies: dict[Node, ui.element] = {}

    def show() -> None:
        shown = union.shown
        if shown is not None and shown not in bodies and shown.parts:
            with place, ui.element("div").classes("form-nested") as body:
                form.draw_children(shown)
            bodies[shown] = body
        for group, body in bodies.items():
            body.set_visibility(group is shown)

    async def choose(key: str) -> None:
        union.choose(key)
        take_over(union, drawn)
        form.changed(union)
        await form.settle(union)

    drawn = choice_of_one(form, union, choose)
    place = ui.element("div")
    restore_choice = drawn.restore

    def restore() -> None:
        restore_choice()
        show()

    drawn.restore = restore
    show()
    return drawn

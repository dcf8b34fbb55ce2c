"""Fields that are chosen: switches, options, and the choice of a union."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, cast

from nicegui import ui

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.field import Drawn, field_frame
from vllm_pkg.portal.forms.hints import OPEN_OPTIONS_MAX, Option, options_of
from vllm_pkg.portal.forms.native import checkable, drop_down, element, set_attributes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vllm_pkg.portal.forms.form import FormView
    from vllm_pkg.portal.forms.model import Leaf, Node, Union

    Choose = Callable[[str], Awaitable[None]]

_POSITIONS: Final = {"yes": True, "no": False, "unset": None}


def take_over(node: Node, drawn: Drawn) -> None:
    """
    Note what a person chose, which the browser shows already.

    Sent back it would come late, and undo what was chosen since. Only what may be
    declined is, so that it can be taken back.

    Args:
        node: Where it was chosen.
        drawn: How that is drawn.
    """
    with contextlib.ExitStack() as quiet:
        if not node.must_ask:
            for control in drawn.controls:
                for item in (control, *control.descendants()):
                    quiet.enter_context(item.props.suspend_updates())
        drawn.restore()


def draw_toggle(form: FormView, node: Node) -> Drawn:
    """Draw a switch."""
    leaf = cast("Leaf", node)

    async def take(is_on: bool) -> None:  # noqa: FBT001  # what a check box hands out
        leaf.value = is_on
        take_over(leaf, drawn)
        form.changed(leaf)
        await form.settle(leaf)

    with field_frame(node, form.texts) as drawn:
        control = checkable(
            "checkbox",
            take,
            is_checked=leaf.value is True,
            role="switch",
            disabled=node.is_off or None,
            aria_describedby=drawn.described_by,
        )
    control.classes("form-switch")
    drawn.controls.append(control)
    drawn.restore = lambda: set_attributes(control, checked=leaf.value is True)
    set_attributes(drawn.label, for_=control.html_id)
    return drawn


def draw_tri_state(form: FormView, node: Node) -> Drawn:
    """Draw a switch with a third position, all three with their names."""
    leaf = cast("Leaf", node)

    def options() -> list[Option]:
        return [
            Option(
                key, form.texts(f"forms.tri.{key}"), node.is_off, leaf.value is value
            )
            for key, value in _POSITIONS.items()
        ]

    async def choose(key: str) -> None:
        leaf.value = _POSITIONS[key]
        take_over(leaf, drawn)
        form.changed(leaf)
        await form.settle(leaf)

    with field_frame(node, form.texts, is_group=True) as drawn:
        _draw_radios(drawn, options, choose).classes("form-segments")
    return drawn


def draw_select(form: FormView, node: Node) -> Drawn:
    """Draw a choice of one."""
    leaf = cast("Leaf", node)

    async def choose(key: str) -> None:
        leaf.value = key
        take_over(leaf, drawn)
        form.changed(leaf)
        await form.settle(leaf)

    drawn = choice_of_one(form, leaf, choose)
    return drawn


def draw_multiselect(form: FormView, node: Node) -> Drawn:
    """Draw a choice of several."""
    leaf = cast("Leaf", node)

    async def take(key: str, *, is_on: bool) -> None:
        chosen = {*leaf.value, key} if is_on else {*leaf.value} - {key}
        # In the order of the options, whatever was chosen first.
        leaf.value = [item for item in boxes if item in chosen]
        take_over(leaf, drawn)
        form.changed(leaf)
        await form.settle(leaf)

    with field_frame(node, form.texts, is_group=True) as drawn:
        group = element("div", role="group", **_labelled(drawn))
        boxes: dict[str, ui.element] = {}
        with group.classes("form-options"):
            for option in options_of(leaf):
                boxes[option.key] = _draw_box(option, take)
    drawn.controls.extend(boxes.values())

    def restore() -> None:
        for option in options_of(leaf):
            set_attributes(boxes[option.key], checked=option.is_chosen)

    drawn.restore = restore
    return drawn


def choice_of_one(form: FormView, node: Leaf | Union, choose: Choose) -> Drawn:
    """
    Draw a choice of one: all options open, or folded where they are many.

    Args:
        form: The form.
        node: A select or a union.
        choose: Called with the key that a person chose.
    """
    is_open = len(options_of(node)) <= OPEN_OPTIONS_MAX
    with field_frame(node, form.texts, is_group=is_open) as drawn:
        if is_open:
            _draw_radios(drawn, lambda: options_of(node), choose)
        else:
            _draw_drop_down(form, drawn, node, choose)
    return drawn


def _draw_radios(
    drawn: Drawn, options: Callable[[], list[Option]], choose: Choose
) -> ui.element:
    group = element("div", role="radiogroup", **_labelled(drawn))
    radios: dict[str, ui.element] = {}
    with group.classes("form-options"):
        for option in options():
            radios[option.key] = _draw_radio(group, option, choose)
    drawn.controls.extend(radios.values())

    def restore() -> None:
        for option in options():
            set_attributes(radios[option.key], checked=option.is_chosen)

    drawn.restore = restore
    return group


def _draw_radio(group: ui.element, option: Option, choose: Choose) -> ui.element:
    async def take(_: bool) -> None:  # noqa: FBT001  # what a radio button hands out
        await choose(option.key)

    with ui.element("div").classes("form-option"):
        radio = checkable(
            "radio",
            take,
            is_checked=option.is_chosen,
            name=group.html_id,
            disabled=option.is_off or None,
        )
        set_attributes(Text("label", option.label), for_=radio.html_id)
    return radio


def _draw_box(option: Option, take: Callable[..., Awaitable[None]]) -> ui.element:
    async def turn(is_on: bool) -> None:  # noqa: FBT001  # what a check box hands out
        await take(option.key, is_on=is_on)

    with ui.element("div").classes("form-option"):
        box = checkable(
            "checkbox",
            turn,
            is_checked=option.is_chosen,
            disabled=option.is_off or None,
        )
        set_attributes(Text("label", option.label), for_=box.html_id)
    return box


def _draw_drop_down(
    form: FormView, drawn: Drawn, node: Leaf | Union, choose: Choose
) -> None:
    control = drop_down(
        choose, disabled=node.is_off or None, aria_describedby=drawn.described_by
    )
    lines: dict[str, ui.element] = {}
    with control.classes("form-drop-down"):
        none = Text("option", form.texts("forms.choose"))
        for option in options_of(node):
            line = Text("option", option.label)
            set_attributes(line, value=option.key, disabled=option.is_off or None)
            lines[option.key] = line
    set_attributes(none, value="", disabled=True)
    drawn.controls.append(control)

    def restore() -> None:
        options = options_of(node)
        for option in options:
            set_attributes(lines[option.key], selected=option.is_chosen)
        set_attributes(none, selected=not any(item.is_chosen for item in options))

    drawn.restore = restore
    restore()


def _labelled(drawn: Drawn) -> dict[str, str]:
    return {
        "aria_labelledby": drawn.label.html_id,
        "aria_describedby": drawn.described_by,
    }

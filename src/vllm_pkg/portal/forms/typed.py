"""Fields that are typed: texts, numbers, colours, dates and times."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from nicegui import ui

from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.field import Drawn, field_frame
from vllm_pkg.portal.forms.native import (
    element,
    icon_button,
    set_attributes,
    write_unless_typed,
)
from vllm_pkg.portal.forms.numbers import number_text, parse_number
from vllm_pkg.portal.forms.random_text import random_text

if TYPE_CHECKING:
    from vllm_pkg.portal.forms.form import FormView
    from vllm_pkg.portal.forms.model import Leaf, Node


def draw_text(form: FormView, node: Node) -> Drawn:
    """Draw one line of text; a masked one is hidden, and can be shown."""
    leaf = cast("Leaf", node)
    with field_frame(node, form.texts) as drawn:
        control = ui.input(value=_shown(leaf))
        _dress(form, leaf, drawn, control)
        set_attributes(control, inputmode=node.field["inputmode"])
        with control.add_slot("append"):
            if node.field["masked"]:
                _mask(form, control)
            if node.field["generate"] and not node.is_off:
                _offer_random(form, leaf, control)
    return drawn


def draw_textarea(form: FormView, node: Node) -> Drawn:
    """Draw several lines of text, which grow with what is typed."""
    leaf = cast("Leaf", node)
    with field_frame(node, form.texts) as drawn:
        control = ui.textarea(value=_shown(leaf))
        _dress(form, leaf, drawn, control)
        least, most = node.field["minRows"], node.field["maxRows"]
        style = f"min-height: {least * 1.5}em; max-height: {most * 1.5}em"
        set_attributes(control, autogrow=True, input_style=style)
    return drawn


def draw_number(form: FormView, node: Node) -> Drawn:
    """Draw a number with its unit; what is no number stays as it was typed."""
    leaf = cast("Leaf", node)
    decimal = form.texts.locale.number_symbols["latn"]["decimal"]

    def take(text: str) -> None:
        leaf.value = parse_number(text, decimal)

    with field_frame(node, form.texts) as drawn:
        control = ui.input(value=number_text(leaf.value, decimal))
        _dress(form, leaf, drawn, control, take)
        drawn.restore = lambda: write_unless_typed(
            control, number_text(leaf.value, decimal)
        )
        mode = "numeric" if node.field["integer"] else "decimal"
        set_attributes(control, inputmode=mode)
        if node.field["units"]:
            with control.add_slot("append"):
                unit = Text("span", node.field["units"]).classes("form-unit")
            names = f"{drawn.label.html_id} {unit.html_id}"
            set_attributes(control, aria_labelledby=names)
    return drawn


def draw_datetime(form: FormView, node: Node) -> Drawn:
    """Draw a date, a time or both, with the browser's own picker."""
    leaf, field = cast("Leaf", node), node.field
    with field_frame(node, form.texts) as drawn:
        control = ui.input(value=_shown(leaf))
        _dress(form, leaf, drawn, control, _nothing_is_null(leaf))
        limits = {"min": field["min"], "max": field["max"]}
        set_attributes(control, type=field["inputmode"], **limits)
        if _has_seconds(leaf.value):
            set_attributes(control, step="1")
    return drawn


def draw_color(form: FormView, node: Node) -> Drawn:
    """Draw a colour: typed, or taken from the browser's own picker."""
    leaf = cast("Leaf", node)
    with field_frame(node, form.texts) as drawn, ui.row().classes("form-color"):
        control = ui.input(value=_shown(leaf))
        swatch = element(
            "input",
            type="color",
            value=_color(leaf.value),
            aria_label=form.texts("forms.color.pick", name=node.name),
            disabled=node.is_off or None,
        )

        take_nothing = _nothing_is_null(leaf)

        def take(text: str) -> None:
            take_nothing(text)
            set_attributes(swatch, value=_color(text))

        _dress(form, leaf, drawn, control, take)
        swatch.on(
            "change",
            js_handler=(
                "(event) => {"
                f" getElement({control.id}).inputValue = event.target.value }}"
            ),
        )
        swatch.on("blur", lambda: form.settle(leaf), args=[])
        set_attributes(control, placeholder="#rrggbb", spellcheck="false")
    return drawn


def _dress(
    form: FormView,
    leaf: Leaf,
    drawn: Drawn,
    control: ui.input,
    take: Any = None,
) -> None:
    """Give a control what all typed ones have."""
    take = take or leaf.type_text

    def changed(event: Any) -> None:
        if event.value != _shown(leaf):
            take(event.value or "")
            form.changed(leaf)

    control.on_value_change(changed)
    control.on("blur", lambda: form.settle(leaf), args=[])
    control.props("outlined dense hide-bottom-space no-error-icon")
    set_attributes(
        control,
        # Quasar's own label would add the names of the buttons beside the text.
        aria_labelledby=drawn.label.html_id,
        aria_describedby=drawn.described_by,
        placeholder=leaf.field.get("placeholder"),
        disable=leaf.is_off,
        autocomplete="off",
    )
    if not leaf.name:
        # An entry of a list: its place says what it is to those who see it.
        drawn.label.classes("vp-visually-hidden")
    drawn.controls.append(control)
    drawn.restore = lambda: write_unless_typed(control, _shown(leaf))


def _shown(leaf: Leaf) -> str:
    return "" if leaf.value is None else str(leaf.value)


def _nothing_is_null(leaf: Leaf) -> Any:
    def take(text: str) -> None:
        leaf.value = text or None

    return take


def _has_seconds(value: Any) -> bool:
    return isinstance(value, str) and value.count(":") > 1


def _color(text: Any) -> str:
    is_color = isinstance(text, str) and re.fullmatch("#[0-9A-Fa-f]{6}", text)
    return str(text) if is_color else "#000000"


def _mask(form: FormView, control: ui.input) -> None:
    show, hide = form.texts("forms.text.show"), form.texts("forms.text.hide")

    def turn() -> None:
        is_hidden = control.props["type"] == "password"
        set_attributes(control, type="text" if is_hidden else "password")
        set_attributes(button, aria_label=hide if is_hidden else show)
        button.set_icon("visibility_off" if is_hidden else "visibility")

    set_attributes(control, type="password", autocomplete="new-password")
    button = icon_button("visibility", show, turn)


def _offer_random(form: FormView, leaf: Leaf, control: ui.input) -> None:
    async def make() -> None:
        text = random_text(leaf.field["generate"])
        leaf.type_text(text)
        write_unless_typed(control, text)
        form.changed(leaf)
        await form.settle(leaf)

    icon_button("casino", form.texts("forms.text.generate"), make)

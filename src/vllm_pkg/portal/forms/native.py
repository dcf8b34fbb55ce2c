"""
HTML's own elements, where they serve people better than drawn ones.

A browser's radio buttons, check boxes and lists to choose from are operated by keyboard
and read out as people know them, and a phone shows its own pickers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from vllm_pkg.portal.components.buttons import Look, button

if TYPE_CHECKING:
    from collections.abc import Callable


def element(tag: str, **attributes: Any) -> ui.element:
    """Return an element; underscores of attributes stand for hyphens."""
    made = ui.element(tag)
    set_attributes(made, **attributes)
    return made


def set_attributes(target: ui.element, **attributes: Any) -> None:
    """Set attributes of an element; underscores stand for hyphens, None removes."""
    for name, value in attributes.items():
        key = name.rstrip("_").replace("_", "-")
        if value is None:
            target.props.pop(key, None)
        else:
            target.props[key] = value


def checkable(
    kind: str, on_change: Callable[[bool], Any], *, is_checked: bool, **attributes: Any
) -> ui.element:
    """
    Return a check box or a radio button.

    Args:
        kind: ``checkbox`` or ``radio``.
        on_change: Called with whether it is checked now.
        is_checked: Whether it is checked at first.
        attributes: Of the element.
    """
    made = element("input", type=kind, checked=is_checked, **attributes)
    made.on(
        "change",
        lambda event: on_change(bool(event.args)),
        js_handler="(event) => emit(event.target.checked)",
    )
    return made


def drop_down(on_change: Callable[[str], Any], **attributes: Any) -> ui.element:
    """
    Return a list to choose from, without options.

    Args:
        on_change: Called with the value of the chosen option.
        attributes: Of the element.
    """
    made = element("select", **attributes)
    made.on(
        "change",
        lambda event: on_change(str(event.args)),
        js_handler="(event) => emit(event.target.value)",
    )
    return made


def icon_button(icon: str, name: str, on_click: Callable[[], Any]) -> ui.button:
    """Return a small button with an icon, and a name for who does not see it."""
    button = ui.button(icon=icon, color=None, on_click=on_click)
    button.props("flat dense").classes("form-icon-button")
    set_attributes(button, aria_label=name)
    with button:
        ui.tooltip(name)
    return button


def submit_button(text: str, *, is_off: bool = False) -> ui.button:
    """
    Show the button that submits the form it is in.

    Enter in a field presses an unseen button of the browser's instead. Quasar's own
    takes the focus then, and what a person goes on to type is lost.

    Args:
        text: What it says.
        is_off: Whether the form cannot be submitted.
    """
    element("button", type="submit", hidden=True, disabled=is_off or None)
    made = button(text, look=Look.PRIMARY)
    made.on(
        "click", js_handler="(event) => event.target.closest('form').requestSubmit()"
    )
    made.set_enabled(not is_off)
    return made


def on_escape(target: ui.element, leave: Callable[[], Any]) -> None:
    """
    Call something when Escape is pressed and let go inside an element.

    Dialogs close when the key is let go: what opens on the press would be closed by the
    same key. A press that closed a picker of the browser does not reach the page.
    """
    target.on(
        "keydown",
        js_handler="(event) => {"
        " event.currentTarget.vpEscape = event.key === 'Escape' }",
    )
    target.on(
        "keyup.escape",
        leave,
        args=[],
        js_handler="(event) => {"
        " if (event.currentTarget.vpEscape) emit();"
        " event.currentTarget.vpEscape = false }",
    )


def focus_on(html_id: str) -> None:
    """Move the focus to an element, once what was changed is drawn."""
    _focus_on(html_id, "true")


# Notes what a person does in a form after it was submitted.
_NOTE: Final = """(event) => {
  const form = event.currentTarget;
  form.vpIsTyped = event.type !== "submit";
  if (event.type === "submit") form.vpFocus = document.activeElement;
}"""

_IS_TYPING: Final = """(form) => {
  const at = document.activeElement;
  const isField = form?.contains(at) && at.matches("input, select, textarea");
  return isField && (form.vpIsTyped || at !== form.vpFocus);
}"""


def note_typing(form: ui.element) -> None:
    """Let `focus_unless_typing` know what a person does in a form."""
    form.on("input", js_handler=_NOTE)
    form.on("submit", js_handler=_NOTE)


def focus_unless_typing(html_id: str, form: ui.element) -> None:
    """
    Move the focus to an element, as the answer to the submit of a form.

    A person who has gone on meanwhile stays where he is: the answer comes late, and
    what he types would land in another field.

    Args:
        html_id: The element.
        form: Notes what is done in it, see `note_typing`.
    """
    _focus_on(html_id, f"!({_IS_TYPING})(document.getElementById({form.html_id!r}))")


def write_unless_typed(control: ui.input, text: str) -> None:
    """
    Put a text into a field whose text the browser keeps.

    What a person has typed since the last news of the field stays.
    """
    known, text = json.dumps(control.value), json.dumps(text)
    ui.run_javascript(
        f"const field = getElement({control.id});"
        f"if (field && [{known}, field.vpWritten].includes(field.inputValue))"
        f" field.inputValue = field.vpWritten = {text};"
    )


def _focus_on(html_id: str, condition: str) -> None:
    ui.run_javascript(
        "requestAnimationFrame(() => setTimeout(() => {"
        f"const found = document.getElementById({html_id!r});"
        f"if (!found || !{condition}) return;"
        "found.focus(); found.scrollIntoView({block: 'nearest'});"
        "}))"
    )

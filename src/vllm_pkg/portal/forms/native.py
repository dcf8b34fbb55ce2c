"""
HTML's own elements, where they serve people better than drawn ones.

A browser's radio buttons, check boxes and lists to choose from are operated by keyboard
and read out as people know them, and a phone shows its own pickers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

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
    ui.run_javascript(
        "requestAnimationFrame(() => setTimeout(() => {"
        f"const found = document.getElementById({html_id!r});"
        "if (found) { found.focus(); found.scrollIntoView({block: 'nearest'}); }"
        "}))"
    )

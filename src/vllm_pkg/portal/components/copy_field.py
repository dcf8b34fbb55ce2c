"""A value to copy: in the open, or hidden until it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import segno
from nicegui import ui

from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.confirm import name_dialog
from vllm_pkg.portal.components.copying import copy_button, fetched
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.texts.catalogue import Texts

# As long whatever is hidden, so that it tells nothing.
_MASK: Final = "\N{BULLET}" * 12


def copy_field(
    texts: Texts,
    name: str,
    value: str,
    *,
    has_qr: bool = False,
    is_copyable: bool = True,
) -> Text:
    """
    Show a value with a button that copies it.

    Args:
        texts: The language.
        name: What it is; stands above it.
        value: The value. It may be changed later on, with `Text.say`.
        has_qr: Whether it can be shown as a QR code.
        is_copyable: Whether there is a button that copies it.
    Returns:
        The element that holds the value.
    """
    with ui.element("div").classes("vp-copy"):
        Text("span", name).classes("vp-copy-label")
        with ui.element("div").classes("vp-copy-line"):
            shown = Text("span", value).classes("vp-copy-value")
            if is_copyable:
                copy_button(texts, name, lambda: shown.text)
            if has_qr:
                _qr_button(texts, name, lambda: shown.text)
    return shown


def secret_field(
    texts: Texts,
    name: str,
    fetch: Callable[[], str],
    *,
    has_qr: bool = True,
    is_copyable: bool = True,
) -> None:
    """
    Show that there is a secret; the page gets it only when somebody asks for it.

    Args:
        texts: The language.
        name: What it is; stands above it.
        fetch: Returns it; runs in a thread.
        has_qr: Whether it can be shown as a QR code.
        is_copyable: Whether there is a button that copies it.
    """
    with ui.element("div").classes("vp-copy"):
        Text("span", name).classes("vp-copy-label")
        with ui.element("div").classes("vp-copy-line"):
            shown = Text("span", _MASK).classes("vp-copy-value")
            shown.props["aria-label"] = texts("frame.hidden")
            shown.props["role"] = "img"
            _show_button(texts, name, fetch, shown)
            if is_copyable:
                copy_button(texts, name, fetch)
            if has_qr:
                _qr_button(texts, name, fetch)


def _show_button(
    texts: Texts, name: str, fetch: Callable[[], str], shown: Text
) -> None:
    async def toggle() -> None:
        is_hidden = shown.text == _MASK
        content = await fetched(texts, fetch) if is_hidden else _MASK
        if content is None:
            return
        shown.say(content)
        if is_hidden:
            shown.props(remove="aria-label role")
        else:
            shown.props["aria-label"] = texts("frame.hidden")
            shown.props["role"] = "img"
        made.set_text(texts("frame.hide") if is_hidden else texts("frame.show"))
        made.set_icon("visibility_off" if is_hidden else "visibility")
        made.props["aria-label"] = (
            texts("frame.hide_named", name=name)
            if is_hidden
            else texts("frame.show_named", name=name)
        )

    made = button(
        texts("frame.show"),
        toggle,
        Look.SECONDARY,
        icon="visibility",
        name=texts("frame.show_named", name=name),
    )


def _qr_button(texts: Texts, name: str, fetch: Callable[[], str]) -> None:
    async def show() -> None:
        content = await fetched(texts, fetch)
        if content is None:
            return
        dialog = ui.dialog(value=True)
        # Gone with the dialog: what it shows stays no longer than it is seen.
        dialog.on("hide", dialog.delete)
        with dialog, ui.element("div").classes("vp-dialog"):
            name_dialog(dialog, Text("h2", texts("frame.qr_named", name=name)))
            picture = ui.html(qr_svg(content), sanitize=False).classes("vp-qr")
            picture.props("role=img")
            picture.props["aria-label"] = texts("frame.qr_named", name=name)
            with ui.element("div").classes("vp-dialog-buttons"):
                button(texts("frame.close"), dialog.close, Look.PRIMARY)

    button(
        texts("frame.qr"),
        show,
        Look.SECONDARY,
        icon="qr_code_2",
        name=texts("frame.qr_named", name=name),
    )


def qr_svg(content: str) -> str:
    """Return a QR code as SVG that scales, dark on light whatever the theme."""
    return segno.make(content, error="m", micro=False).svg_inline(
        scale=4, border=2, dark="#000", light="#fff", omitsize=True
    )

"""Buttons: one primary one per page, and the others look like it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Callable


class Look(StrEnum):
    """How much a button stands out; also the name of its class."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    QUIET = "quiet"
    DANGER = "danger"


def button(
    text: str,
    on_click: Callable[..., Any] | None = None,
    look: Look = Look.SECONDARY,
    *,
    icon: str | None = None,
    name: str | None = None,
) -> ui.button:
    """
    Show a button.

    Args:
        text: What it says.
        on_click: What it does; a coroutine function may be given.
        look: How much it stands out.
        icon: An icon before the text, of Material Design.
        name: What is read out instead of the text; begins with the text.
    """
    made = ui.button(text, on_click=on_click, icon=icon, color=None)
    made.props("unelevated no-caps").classes(f"vp-{look}")
    if name is not None:
        made.props["aria-label"] = name
    return made


def link_button(text: str, path: str, look: Look = Look.SECONDARY) -> ui.button:
    """Show a link to another page of the portal that looks like a button."""
    made = button(text, look=look)
    made.props["href"] = path
    return made

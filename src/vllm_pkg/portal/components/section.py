"""Parts of a page: a card with its heading, and what stands where there is nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def section(title: str) -> Iterator[ui.element]:
    """
    Draw a card with a heading; its content goes inside the block.

    Args:
        title: The heading, of the second level; it names the region too.
    """
    card = ui.element("section").classes("vp-card")
    with card:
        heading = Text("h2", title)
        heading.props(f'id="{heading.html_id}-heading"')
        card.props(f'aria-labelledby="{heading.html_id}-heading"')
        yield card


@contextlib.contextmanager
def empty_state(icon: str, text: str) -> Iterator[None]:
    """
    Say that there is nothing yet, and why; a button that changes it goes inside.

    Args:
        icon: Of Material Design.
        text: Whole sentences.
    """
    with ui.element("div").classes("vp-stack vp-empty"):
        ui.icon(icon).props("aria-hidden=true")
        Text("p", text).classes("vp-muted")
        yield

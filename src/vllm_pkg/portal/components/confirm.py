"""Asking before something is done that cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from vllm_pkg.portal.texts.catalogue import Texts


async def confirm(
    texts: Texts,
    title: str,
    *,
    lost: str,
    gained: str,
    action: str,
    stay: str | None = None,
    is_destructive: bool = True,
) -> bool:
    """
    Ask, and return whether it shall be done; call it from an event handler.

    Args:
        texts: The language.
        title: The question.
        lost: What is lost, a sentence.
        gained: What is gained, a sentence.
        action: What the button that does it says, such as "Delete 41.2 GiB".
        stay: What the other button says, when not "Cancel".
        is_destructive: Whether something is lost for good.
    """
    dialog = ui.dialog()
    with dialog, ui.element("div").classes("vp-dialog"):
        heading = Text("h2", title)
        name_dialog(dialog, heading)
        with ui.element("dl"):
            for term, sentence in (
                (texts("frame.lost"), lost),
                (texts("frame.gained"), gained),
            ):
                Text("dt", term)
                Text("dd", sentence)
        with ui.element("div").classes("vp-dialog-buttons"):
            # The first one has the focus: Enter by mistake does nothing.
            leave = stay or texts("frame.cancel")
            button(leave, lambda: dialog.submit(False)).props("autofocus")  # noqa: FBT003
            look = Look.DANGER if is_destructive else Look.PRIMARY
            button(action, lambda: dialog.submit(True), look)  # noqa: FBT003
    answer = await dialog
    dialog.delete()
    return answer is True


def name_dialog(dialog: ui.dialog, heading: Text) -> None:
    """Let a dialog be read out under its heading."""
    heading.props(f'id="{heading.html_id}-heading"')
    dialog.props(f'aria-labelledby="{heading.html_id}-heading"')

"""Asking before something is done: a question, and two ways to answer."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui

from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.native import set_attributes


@dataclass(frozen=True)
class Question:
    """
    What is asked.

    Args:
        title: A few words.
        text: What happens when it is done.
        yes: Name of the button that does it.
        no: Name of the button that goes back, which has the focus.
    """

    title: str
    text: str
    yes: str
    no: str


async def ask(question: Question) -> bool:
    """Return whether a person says yes; Escape and a lost page say no."""
    with ui.dialog() as dialog, ui.element("div").classes("vp-dialog"):
        title = Text("h2", question.title)
        text = Text("p", question.text).classes("vp-lead")
        with ui.element("div").classes("vp-dialog-buttons"):
            no = button(question.no, lambda: dialog.submit(result=False))
            no.props("data-autofocus")
            button(question.yes, lambda: dialog.submit(result=True), Look.PRIMARY)
    set_attributes(
        dialog,
        role="alertdialog",
        aria_labelledby=title.html_id,
        aria_describedby=text.html_id,
    )
    # Not before it is hidden: closing gives the focus back to where it was.
    dialog.on("hide", dialog.delete, args=[])
    return bool(await dialog)

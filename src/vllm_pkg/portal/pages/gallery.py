"""The gallery: every type of field, and what an action would be given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import ui

from vllm_pkg.actions.validation import validate_input
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.form import FormView
from vllm_pkg.portal.forms.gallery_spec import GALLERY_SAVED, GALLERY_SPEC
from vllm_pkg.portal.forms.model import build_form
from vllm_pkg.portal.forms.native import (
    element,
    focus_on,
    set_attributes,
    submit_button,
)
from vllm_pkg.portal.frame import page_frame, request_texts

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts


def register(portal: Portal) -> None:  # noqa: ARG001  # as every page
    """Add the page."""

    @ui.page("/gallery")
    def gallery(request: Request) -> None:
        texts = request_texts(request)
        with page_frame(texts, "/gallery", title=texts("forms.gallery.title")):
            _draw(texts)


def _draw(texts: Texts) -> None:
    async def show(value: dict[str, Any]) -> None:
        checked = validate_input(GALLERY_SPEC, value)
        shown.clear()
        with shown:
            title = Text("h2", texts("forms.gallery.checked"))
            set_attributes(title.classes("vp-headline form-title"), tabindex="-1")
            text = json.dumps(checked, indent=2, ensure_ascii=False)
            set_attributes(Text("pre", text).classes("vp-code"), data_checked=True)
        focus_on(title.html_id)

    Text("p", texts("forms.gallery.about")).classes("vp-lead")
    with ui.element("div").classes("form-body"):
        view = FormView(build_form(GALLERY_SPEC, GALLERY_SAVED), texts, show)
        with view.element, ui.element("div").classes("vp-dialog-buttons"):
            submit_button(texts("forms.gallery.submit"))
        shown = element("div", aria_live="polite").classes("form-result")

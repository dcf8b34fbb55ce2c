"""One action on a page of its own, for links that lead to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import ui

from vllm_pkg.actions.registry import ACTIONS
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.portal.forms.action import ActionView
from vllm_pkg.portal.forms.native import on_escape
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.said import say_plainly

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal


def register(portal: Portal) -> None:
    """Add the page."""

    @ui.page("/actions/{action_id}")
    def action(request: Request, action_id: str) -> None:
        texts = request_texts(request)
        if action_id in {item.id for item in ACTIONS}:
            title = say_plainly(texts, load_manifest().action(action_id).name)
        else:
            title = texts("forms.action.unknown")
            ui.status_code(404)
        path = f"/actions/{action_id}"
        with page_frame(texts, path, title=title):
            with ui.element("div").classes("form-body") as body:
                view = ActionView(portal, texts, action_id, None, is_page=True)
            on_escape(body, view.leave)

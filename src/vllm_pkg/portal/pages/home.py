"""Home: is it working, and how is it used?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import ui

from vllm_pkg.portal.frame import page_frame, request_texts

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal


def register(portal: Portal) -> None:
    """Add the page."""

    @ui.page("/")
    def home(request: Request) -> None:
        with page_frame(request_texts(request), "/"):
            state = portal.feed.latest.state
            ui.label(state["health"]["message"] if state else "").classes("text-xl")

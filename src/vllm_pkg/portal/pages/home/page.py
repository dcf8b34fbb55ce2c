"""Home, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import ui

from vllm_pkg.portal.components.watching import Watch
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.pages.home.connect import ConnectPart
from vllm_pkg.portal.pages.home.failure import FailurePart
from vllm_pkg.portal.pages.home.last_starts import LastStartsPart
from vllm_pkg.portal.pages.home.machine import MachinePart
from vllm_pkg.portal.pages.home.summary import SummaryPart
from vllm_pkg.portal.pages.home.tasks import TasksPart
from vllm_pkg.service.activity import activity_json
from vllm_pkg.service.starts import starts_json

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.settings import Settings


def register(portal: Portal) -> None:
    """Add the page."""

    @ui.page("/")
    def home(request: Request) -> None:
        texts = request_texts(request)
        with page_frame(texts, "/"):
            parts = (
                SummaryPart(texts),
                TasksPart(portal, texts),
                FailurePart(portal, texts),
                ConnectPart(portal, texts),
                MachinePart(texts),
                LastStartsPart(texts),
            )

            def update(watch: Watch) -> None:
                for part in parts:
                    part.update(watch)

            Watch(portal, _collect, update).begin()


def _collect(settings: Settings) -> dict[str, Any]:
    return activity_json(settings) | starts_json(settings)

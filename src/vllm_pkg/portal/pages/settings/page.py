"""The page: the Hub's token, backups, and what belongs to the portal itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import ui

from vllm_pkg import __version__
from vllm_pkg.errors import ServiceError
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.portal.components.buttons import Look, button, link_button
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.action import open_action
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.pages.settings import backup_download, support_download
from vllm_pkg.portal.pages.settings.access import draw_access
from vllm_pkg.portal.pages.settings.restore import Restore
from vllm_pkg.portal.wording import size
from vllm_pkg.service.cached_models import cache_json
from vllm_pkg.state.secrets import observe_secrets

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.settings import Settings

PATH: Final = "/settings"
API_PATH: Final = "/api/v1/openapi.json"


def register(portal: Portal) -> None:
    """Add the page, and the addresses that backups and bundles come from."""
    backup_download.register(portal.settings)
    support_download.register(portal.settings)

    @ui.page(PATH)
    async def settings(request: Request, token: str = "") -> None:
        texts = request_texts(request)
        token_key = await asyncio.to_thread(_token_key, portal.settings)
        models = await asyncio.to_thread(_model_sizes, portal.settings)
        with page_frame(texts, PATH):
            engine = load_manifest().engine_version
            told = texts("settings.summary", version=__version__, engine=engine)
            Text("p", told).classes("vp-headline")
            _draw_hub(portal, texts, token_key)
            _draw_backup(portal, texts, models)
            draw_access(portal.settings, texts, request, token)
            _draw_portal(texts)


def _token_key(settings: Settings) -> str:
    """Return which text says whether there is a Hugging Face token."""
    try:
        has_token = bool(observe_secrets(settings).hugging_face_token)
    except ServiceError:
        return "settings.hub.unreadable"
    return "settings.hub.stored" if has_token else "settings.hub.absent"


def _model_sizes(settings: Settings) -> list[int]:
    try:
        return [item["sizeBytes"] for item in cache_json(settings)["models"]]
    except ServiceError:
        return []


def _draw_hub(portal: Portal, texts: Texts, token_key: str) -> None:
    with section(texts("settings.hub.title")):
        told = Text("p", texts(token_key)).classes("vp-lead")

        def done(_result: dict[str, Any]) -> None:
            told.say(texts(_token_key(portal.settings)))

        def change() -> None:
            open_action(portal, texts, "hugging-face-token", on_done=done)

        with ui.element("div").classes("vp-row"):
            button(texts("settings.hub.change"), change)


def _draw_backup(portal: Portal, texts: Texts, models: list[int]) -> None:
    with section(texts("settings.backup.title")):
        Text("p", texts("settings.backup.about")).classes("vp-lead")
        if models:
            held = size(texts, sum(models))
            told = texts("settings.backup.whole", size=held, count=len(models))
            Text("p", told).classes("vp-muted")
        with ui.element("div").classes("vp-row"):
            path = backup_download.PATH
            plain = link_button(texts("settings.backup.create"), path, Look.PRIMARY)
            plain.props("download")
            if models:
                whole = f"{path}?models=true"
                text = texts("settings.backup.create_whole")
                link_button(text, whole).props("download")
        Restore(portal.settings, texts)


def _draw_portal(texts: Texts) -> None:
    with section(texts("settings.support.title")):
        Text("p", texts("settings.support.about")).classes("vp-lead")
        with ui.element("div").classes("vp-row"):
            create = texts("settings.support.create")
            link_button(create, support_download.PATH).props("download")
    with section(texts("settings.look.title")):
        Text("p", texts("settings.look.about")).classes("vp-lead")
    with section(texts("settings.portal.title")), ui.element("div").classes("vp-row"):
        link_button(texts("settings.portal.api"), API_PATH)
        link_button(texts("settings.portal.gallery"), "/gallery")

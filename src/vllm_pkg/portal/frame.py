"""What surrounds every page: skip link, navigation, one main column."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from nicegui import ui

from vllm_pkg.portal.texts.catalogue import Texts, choose_language, load_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request

LANGUAGE_COOKIE: Final = "vllm-pkg-language"
# Path, key of the name, icon of Material Design, as NiceGUI carries them.
PAGES: Final = (
    ("/", "nav.home", "home"),
    ("/start", "nav.start", "play_circle"),
    ("/models", "nav.models", "inventory_2"),
    ("/try", "nav.try_it", "chat"),
    ("/logs", "nav.logs", "subject"),
    ("/machine", "nav.machine", "memory"),
    ("/keys", "nav.keys", "key"),
    ("/settings", "nav.settings", "settings"),
)


def request_texts(request: Request) -> Texts:
    """Return the texts in the language of who asks."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    accepted = request.headers.get("accept-language", "")
    return load_texts(choose_language(chosen, accepted))


@contextlib.contextmanager
def page_frame(texts: Texts, path: str) -> Iterator[None]:
    """
    Draw what surrounds a page; the page's own elements go inside the block.

    Args:
        texts: Its language.
        path: Which page it is.
    """
    name = next(texts(key) for route, key, _ in PAGES if route == path)
    ui.page_title(f"{name} · vLLM")
    main = ui.element("main").classes("w-full max-w-3xl mx-auto p-4 flex flex-col")
    ui.skip_link(texts("frame.skip"), target=main)
    with (
        ui.left_drawer(bordered=True).props("breakpoint=700 width=200"),
        ui.element("nav").props(f'aria-label="{texts("frame.navigation")}"'),
    ):
        for route, key, icon in PAGES:
            with ui.link(target=route).classes("flex items-center gap-3 p-2") as link:
                ui.icon(icon).props("aria-hidden=true")
                ui.label(texts(key))
            if route == path:
                link.props("aria-current=page")
    with main:
        yield

"""What surrounds every page: header, navigation, one main column."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nicegui import app, ui
from nicegui.translations import translations

from vllm_pkg.portal.components.following import follow, the_portal
from vllm_pkg.portal.components.state_word import state_word
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.situation import situation_of
from vllm_pkg.portal.texts.catalogue import (
    LANGUAGES,
    Texts,
    choose_language,
    load_texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request
    from nicegui.events import GenericEventArguments
    from nicegui.language import Language

    from vllm_pkg.portal.context import Portal

LANGUAGE_COOKIE: Final = "vllm-pkg-language"
THEME_COOKIE: Final = "vllm-pkg-theme"
STATIC_PATH: Final = "/portal-static"
STATIC_DIR: Final = Path(__file__).parent / "static"
# A year: another content has another address.
_KEPT_S: Final = 365 * 24 * 3600
_NAVIGATION_ID: Final = "vp-nav"
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
# Value of the cookie, what NiceGUI calls it, key of the name.
THEMES: Final[tuple[tuple[str, bool | None, str], ...]] = (
    ("auto", None, "frame.theme_auto"),
    ("light", False, "frame.theme_light"),
    ("dark", True, "frame.theme_dark"),
)
# How NiceGUI and Quasar call the languages.
_CODES: Final[dict[str, Language]] = {
    "en": "en-US",
    "es": "es",
    "de": "de",
    "pl": "pl",
    "fr": "fr",
}


def prepare_frame(portal: Portal) -> None:
    """
    Serve what every page needs, before there is any page.

    Args:
        portal: Whose state the header shows.
    """
    app.state.portal = portal
    app.add_static_files(STATIC_PATH, STATIC_DIR, max_cache_age=_KEPT_S)
    ui.add_head_html(
        f'<link rel="stylesheet" href="{_address("base.css")}">'
        f'<link rel="stylesheet" href="{_address("portal.css")}">'
        f'<link rel="stylesheet" href="{_address("forms.css")}">'
        f'<link rel="stylesheet" href="{_address("home.css")}">'
        f'<script type="module" src="{_address("portal.js")}"></script>',
        shared=True,
    )
    for language, code in _CODES.items():
        texts = load_texts(language)
        translations[code] = {
            "connection_lost": texts("frame.connection_lost"),
            "trying_to_reconnect": texts("frame.reconnecting"),
            "message_too_long": texts("frame.too_long"),
            "message_too_long_body": texts("frame.too_long_help"),
        }


def request_texts(request: Request) -> Texts:
    """Return the texts in the language of who asks."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    accepted = request.headers.get("accept-language", "")
    return load_texts(choose_language(chosen, accepted))


@contextlib.contextmanager
def page_frame(texts: Texts, path: str, title: str | None = None) -> Iterator[None]:
    """
    Draw what surrounds a page; the page's own elements go inside the block.

    Its name is the heading of the first level; headings of the page begin with the
    second.

    Args:
        texts: Its language.
        path: Which page it is.
        title: What a page is called that the navigation does not have.
    """
    name = title or next(texts(key) for route, key, _ in PAGES if route == path)
    theme = _set_page(texts)
    ui.page_title(f"{name} · vLLM")
    client = ui.context.client
    with client.layout:
        for surrounding in (_header(texts), _navigation(texts, path, theme)):
            # Before what Quasar makes the main landmark.
            place = client.layout.default_slot.children.index(client.page_container)
            surrounding.move(target_index=place)
    main = client.content.classes("vp-main")
    ui.skip_link(texts("frame.skip"), target=main)
    with main:
        Text("h1", name).classes("vp-page-name")
        yield


def _set_page(texts: Texts) -> str:
    """Let the document be in the language and the theme of who asks."""
    client = ui.context.client
    request = client.request
    asked = request.cookies.get(THEME_COOKIE) if request else None
    theme, is_dark = next(
        ((value, dark) for value, dark, _ in THEMES if value == asked), THEMES[0][:2]
    )
    # The description of the page is shared by all who open it.
    client.page = copy.copy(client.page)
    client.page.language = _CODES[texts.language]
    client.page.dark = is_dark
    return theme


def _header(texts: Texts) -> ui.element:
    with ui.element("header").classes("vp-header") as header:
        menu = ui.button(icon="menu", color=None).props("flat no-caps data-vp-menu")
        menu.classes("vp-menu-button").props(
            f'aria-controls="{_NAVIGATION_ID}" aria-expanded=false'
        )
        menu.props["aria-label"] = texts("frame.menu")
        ui.link("vLLM", "/").classes(replace="vp-brand")
        portal = the_portal()
        state = state_word(texts, situation_of(portal.feed.latest), is_live=True)
        follow(portal, lambda look: state.show(situation_of(look)))
    return header


def _navigation(texts: Texts, path: str, theme: str) -> ui.element:
    nav = ui.element("nav").classes("vp-nav").props(f'id="{_NAVIGATION_ID}"')
    nav.props["aria-label"] = texts("frame.navigation")
    with nav:
        with ui.element("ul"):
            for route, key, icon in PAGES:
                with ui.element("li"), ui.link(target=route).classes(replace=""):
                    ui.icon(icon).props("aria-hidden=true")
                    Text("span", texts(key))
                    if route == path:
                        ui.context.slot.parent.props("aria-current=page")
        with ui.element("div").classes("vp-preferences"):
            names = [(code, _own_name(code), code) for code in LANGUAGES]
            chosen = _select(texts("frame.language"), names, texts.language)
            chosen.props(f"data-vp-cookie={LANGUAGE_COOKIE} data-vp-reload")
            _theme_choice(texts, theme)
    return nav


def _theme_choice(texts: Texts, theme: str) -> None:
    values = {value: dark for value, dark, _ in THEMES}
    mode = ui.dark_mode(values[theme])

    def change(event: GenericEventArguments) -> None:
        mode.set_value(values.get(str(event.args)))

    options = [(value, texts(key), texts.language) for value, _, key in THEMES]
    choice = _select(texts("frame.theme"), options, theme)
    choice.props(f"data-vp-cookie={THEME_COOKIE}")
    choice.on("change", change, js_handler="(e) => emit(e.target.value)")


def _select(label: str, options: list[tuple[str, str, str]], chosen: str) -> ui.element:
    """Show a choice of the browser's own; an option is value, name, language."""
    with ui.element("label").classes("vp-select"):
        Text("span", label)
        with ui.element("select") as select:
            for value, name, language in options:
                option = Text("option", name).props(f"value={value} lang={language}")
                option.props["selected"] = value == chosen
    return select


@cache
def _address(name: str) -> str:
    """Return where a file is served, with what makes a new version a new address."""
    content = hashlib.sha256((STATIC_DIR / name).read_bytes()).hexdigest()[:12]
    return f"{STATIC_PATH}/{name}?v={content}"


def _own_name(language: str) -> str:
    """Return how a language calls itself; Babel would load all it knows of each one."""
    texts = load_texts(language)
    return texts("frame.own_name")

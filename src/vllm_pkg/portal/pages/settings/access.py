"""Who gets into the portal: the login link, a new token, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.access.login import LOGOUT_PATH, RENEW_PATH, Renewal
from vllm_pkg.portal.access.login_page import TOKEN_FIELD
from vllm_pkg.portal.access.rules import LOGIN_PATH
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.confirm import confirm
from vllm_pkg.portal.components.copy_field import secret_field
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.state.portal_token import ensure_portal_token

if TYPE_CHECKING:
    from fastapi import Request

    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.settings import Settings

_TOLD = {Renewal.DONE: "changed", Renewal.FAILED: "unchanged"}


def draw_access(
    settings: Settings, texts: Texts, request: Request, renewal: str
) -> None:
    """
    Draw the section.

    Args:
        settings: Whose portal it is.
        texts: The language.
        request: Its address is the one under which this person reaches the portal.
        renewal: What came of changing the token, a `Renewal`; anything else: nothing.
    """
    origin = f"{request.url.scheme}://{request.url.netloc}"

    def link() -> str:
        token = ensure_portal_token(settings)
        return f"{origin}{LOGIN_PATH}?{TOKEN_FIELD}={token}"

    with section(texts("settings.access.title")):
        if renewal in _TOLD:
            told = texts(f"settings.access.{_TOLD[Renewal(renewal)]}")
            Text("p", told).classes("vp-lead").props("role=status")
        Text("p", texts("settings.access.about")).classes("vp-lead")
        secret_field(texts, texts("settings.access.link"), link)
        with ui.element("div").classes("vp-row"):
            _draw_change(texts)
            with _form(LOGOUT_PATH):
                button(texts("settings.access.log_out")).props("type=submit")


def _draw_change(texts: Texts) -> None:
    # The browser sends it, so that it is given the new session with the answer: what
    # this page is connected by ends with the old token.
    form = _form(RENEW_PATH)

    async def change() -> None:
        is_wanted = await confirm(
            texts,
            texts("settings.access.question"),
            lost=texts("settings.access.lost"),
            gained=texts("settings.access.gained"),
            action=texts("settings.access.change"),
        )
        if is_wanted:
            ui.run_javascript(f"document.getElementById({form.html_id!r}).submit()")

    button(texts("settings.access.change"), change, Look.SECONDARY)


def _form(path: str) -> ui.element:
    return ui.element("form").props(f"method=post action={path}")

"""The page: who may use the API?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import ui

from vllm_pkg.engine.guard.key_list import ListedKey, list_keys
from vllm_pkg.errors import ServiceError, as_sentence
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.copy_field import secret_field
from vllm_pkg.portal.components.facts import fact_list
from vllm_pkg.portal.components.program_words import draw_program_words
from vllm_pkg.portal.components.redrawn import Redrawn
from vllm_pkg.portal.components.section import empty_state, section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.forms.action import open_action
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.pages.keys.rows import key_rows, primary_facts, summarize
from vllm_pkg.state.credentials import ensure_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.pages.keys.rows import Fact, KeyRow
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.settings import Settings

PATH: Final = "/keys"
# Requests are written down every few seconds; keys also change by other programs.
POLL_S: Final = 5.0


@dataclass(frozen=True)
class KeysLook:
    """
    The keys at one moment.

    Args:
        keys: All of them; none while they cannot be read.
        problems: Why they cannot be read, as sentences.
    """

    keys: tuple[ListedKey, ...] = ()
    problems: tuple[str, ...] = ()


def register(portal: Portal) -> None:
    """Add the page."""

    @ui.page(PATH)
    async def keys(request: Request) -> None:
        texts = request_texts(request)
        first = await asyncio.to_thread(look, portal.settings)
        with page_frame(texts, PATH):
            KeysPage(portal, texts, first)


def look(settings: Settings) -> KeysLook:
    """Read the keys; why they cannot be read is told instead."""
    try:
        return KeysLook(list_keys(settings, datetime.now(UTC)))
    except ServiceError as error:
        told = (as_sentence(error.message), as_sentence(error.hint))
        return KeysLook(problems=told)


class KeysPage:
    """
    The page of one visitor.

    Args:
        portal: The running portal.
        texts: The language.
        first: What is shown first.
    """

    def __init__(self, portal: Portal, texts: Texts, first: KeysLook) -> None:
        self._portal, self._texts = portal, texts
        self._headline = Text("p").classes("vp-headline")
        self._problems = Redrawn(partial(draw_program_words, texts), first.problems)
        with section(texts("keys.primary.title")):
            Text("p", texts("keys.primary.about")).classes("vp-muted")
            secret_field(
                texts, texts("keys.primary.title"), lambda: ensure_key(portal.settings)
            )
            self._primary = Redrawn(_draw_facts, self._primary_facts(first))
            with ui.element("div").classes("vp-row"):
                button(
                    texts("keys.primary.rotate"), lambda: self._open("rotate-api-key")
                )
        with section(texts("keys.named.title")):
            self._named = Redrawn(self._draw_named, self._rows(first))
            with ui.element("div").classes("vp-row"):
                button(
                    texts("keys.named.add"),
                    lambda: self._open("add-api-key"),
                    Look.PRIMARY,
                )
        self._show(first)
        ui.timer(POLL_S, self._follow)

    def _show(self, seen: KeysLook) -> None:
        self._problems.show(seen.problems)
        if seen.keys:
            self._headline.say(summarize(self._texts, seen.keys))
        self._primary.show(self._primary_facts(seen))
        self._named.show(self._rows(seen))

    def _primary_facts(self, seen: KeysLook) -> tuple[Fact, ...]:
        if not seen.keys:
            return ()
        return primary_facts(self._texts, seen.keys, datetime.now(UTC))

    def _rows(self, seen: KeysLook) -> tuple[KeyRow, ...]:
        return key_rows(self._texts, seen.keys, datetime.now(UTC))

    async def _follow(self) -> None:
        self._show(await asyncio.to_thread(look, self._portal.settings))

    def _open(self, action_id: str, prefill: dict[str, Any] | None = None) -> None:
        def done(_result: dict[str, Any]) -> None:
            self._show(look(self._portal.settings))

        open_action(self._portal, self._texts, action_id, prefill, done)

    def _draw_named(self, rows: tuple[KeyRow, ...]) -> None:
        if not rows:
            with empty_state("key_off", self._texts("keys.named.none")):
                return
        active = [row for row in rows if row.is_active]
        ended = [row for row in rows if not row.is_active]
        self._draw_list(active)
        if ended:
            Text("h3", self._texts("keys.named.ended")).classes("vp-heading")
            self._draw_list(ended)

    def _draw_list(self, rows: Iterable[KeyRow]) -> None:
        with ui.element("ul").classes("vp-list"):
            for row in rows:
                with ui.element("li").classes("vp-item"):
                    self._draw(row)

    def _draw(self, row: KeyRow) -> None:
        with ui.element("div").classes("vp-item-text"):
            with ui.element("div").classes("vp-row"):
                Text("span", row.name).classes("vp-heading")
                icon, tone = ("check", "good") if row.is_active else ("block", "muted")
                with ui.element("span").classes(f"vp-state vp-small vp-{tone}"):
                    ui.icon(icon).props("aria-hidden=true")
                    Text("span", row.state)
            _draw_facts(row.facts)
        if row.is_active:
            with ui.element("div").classes("vp-item-actions"):
                button(
                    self._texts("keys.named.revoke"),
                    lambda: self._open("revoke-api-key", {"key": row.id}),
                    name=self._texts("keys.named.revoke_named", name=row.name),
                )


def _draw_facts(told: tuple[Fact, ...]) -> None:
    with fact_list():
        for fact in told:
            item = Text("li", fact.text)
            if fact.exact is not None:
                item.props["title"] = fact.exact

"""The models on the disk: what each is, and checking or removing it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from nicegui import ui

from vllm_pkg.portal.components.ago import RelativeTime
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.facts import fact_list
from vllm_pkg.portal.components.section import empty_state
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from vllm_pkg.portal.pages.models.cache_rows import CacheRow
    from vllm_pkg.portal.texts.catalogue import Texts


class CacheHandlers(Protocol):
    """What can be done with a model on the disk; each runs in an event handler."""

    async def download(self, model: str) -> None:
        """Fetch what is missing of a model."""

    async def verify(self, model: str, *, is_full: bool) -> None:
        """Check a model."""

    async def remove(self, row: CacheRow) -> None:
        """Remove a model or a revision, after asking."""


def draw_cache(
    texts: Texts, rows: tuple[CacheRow, ...], handlers: CacheHandlers
) -> None:
    """
    Draw what is on the disk.

    Args:
        texts: The language.
        rows: What is there.
        handlers: What the buttons do.
    """
    if not rows:
        with empty_state("inventory_2", texts("models.cache.empty")):
            return
    with ui.element("ul").classes("vp-list"):
        for row in rows:
            with ui.element("li").classes("vp-item"):
                _draw(texts, row, handlers)


def _draw(texts: Texts, row: CacheRow, handlers: CacheHandlers) -> None:
    with ui.element("div").classes("vp-item-text"):
        Text("h3", row.name).classes("vp-heading")
        _facts(texts, row)
        if row.obstacle is not None:
            Text("p", row.obstacle).classes("vp-muted")
    with ui.element("div").classes("vp-item-actions"):
        if row.is_model:
            _checks(texts, row, handlers)
        _remove_button(texts, row, handlers)
    if row.revisions:
        with ui.element("ul").classes("vp-list vp-sublist"):
            for revision in row.revisions:
                with ui.element("li").classes("vp-item"):
                    with ui.element("div").classes("vp-item-text"):
                        Text("h4", revision.name).classes("vp-heading vp-small")
                        _facts(texts, revision)
                    with ui.element("div").classes("vp-item-actions"):
                        _remove_button(texts, revision, handlers)


def _facts(texts: Texts, row: CacheRow) -> None:
    with fact_list():
        for fact in row.facts:
            Text("li", fact)
        if row.last_used is not None:
            with ui.element("li"):
                RelativeTime(
                    texts,
                    datetime.fromisoformat(row.last_used),
                    lambda when: texts("models.cache.last_used", when=when),
                )


def _checks(texts: Texts, row: CacheRow, handlers: CacheHandlers) -> None:
    if row.is_partial:
        button(texts("models.cache.resume"), lambda: handlers.download(row.key))
    button(
        texts("models.cache.verify"),
        lambda: handlers.verify(row.key, is_full=False),
        Look.QUIET,
        name=texts("models.cache.verify_named", name=row.name),
    )
    button(
        texts("models.cache.verify_full"),
        lambda: handlers.verify(row.key, is_full=True),
        Look.QUIET,
        name=texts("models.cache.verify_full_named", name=row.name),
    )


def _remove_button(texts: Texts, row: CacheRow, handlers: CacheHandlers) -> None:
    made = button(
        texts("models.cache.remove"),
        lambda: handlers.remove(row),
        Look.QUIET,
        name=texts("models.cache.remove_named", name=row.name),
    )
    if row.obstacle is not None:
        made.disable()

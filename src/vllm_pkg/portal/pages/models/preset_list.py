"""The list of presets, each with the answer whether it fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.facts import facts
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.pages.models.presets import PresetRow
    from vllm_pkg.portal.texts.catalogue import Texts


def draw_presets(
    texts: Texts,
    rows: tuple[PresetRow, ...],
    on_use: Callable[[str], None],
    on_download: Callable[[str], object],
) -> None:
    """
    Draw the presets.

    Args:
        texts: The language.
        rows: All presets.
        on_use: Called with the id of the one that is to be used.
        on_download: Called with the id of the one that is to be downloaded.
    """
    with ui.element("ul").classes("vp-list"):
        for row in rows:
            with ui.element("li").classes("vp-item"):
                _draw(texts, row, on_use, on_download)


def _draw(
    texts: Texts,
    row: PresetRow,
    on_use: Callable[[str], None],
    on_download: Callable[[str], object],
) -> None:
    with ui.element("div").classes("vp-item-text"):
        with ui.element("div").classes("vp-row"):
            Text("h3", row.name).classes("vp-heading")
            _sign(texts, row)
        if row.reason is not None:
            Text("p", row.reason).classes("vp-muted")
        if row.is_fitting:
            facts(row.facts)
        if row.is_fitting and row.repository:
            Text("p", row.repository).classes("vp-mono vp-muted")
    if not row.is_fitting:
        return
    with ui.element("div").classes("vp-item-actions"):
        is_first = row.is_best and not row.is_selected
        button(
            texts("models.presets.use"),
            lambda: on_use(row.id),
            Look.PRIMARY if is_first else Look.SECONDARY,
            name=texts("models.presets.use_named", name=row.name),
        )
        if row.can_download:
            button(
                texts("models.presets.download"),
                lambda: on_download(row.id),
                Look.QUIET,
                name=texts("models.presets.download_named", name=row.name),
            )


def _sign(texts: Texts, row: PresetRow) -> None:
    """Say in icon and word how it stands."""
    if row.is_selected:
        _word("check_circle", texts("models.presets.selected"), "vp-good")
    elif row.is_best:
        _word("star", texts("models.presets.best"), "vp-good")
    elif row.is_fitting:
        _word("check", texts("models.presets.fits"), "vp-good")
    else:
        _word("block", texts("models.presets.fits_not"), "vp-muted")


def _word(icon: str, text: str, tone: str) -> None:
    with ui.element("span").classes(f"vp-state vp-small {tone}"):
        ui.icon(icon).props("aria-hidden=true")
        Text("span", text)

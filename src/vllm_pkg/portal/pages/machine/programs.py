"""The programs of the service, each with what can be done with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nicegui import ui

from vllm_pkg.portal.components.ago import RelativeTime
from vllm_pkg.portal.components.buttons import button
from vllm_pkg.portal.components.facts import fact_list
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vllm_pkg.portal.pages.machine.rows import ProgramRow
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.service.processes import Verb

_ICONS: Final = {"good": "check_circle", "busy": "hourglass_top", "bad": "stop_circle"}


def draw_programs(
    texts: Texts,
    rows: tuple[ProgramRow, ...],
    on_steer: Callable[[ProgramRow, Verb], Awaitable[None]],
) -> None:
    """
    Draw the programs.

    Args:
        texts: The language.
        rows: All of them.
        on_steer: Starts, stops or restarts one.
    """
    with ui.element("ul").classes("vp-list"):
        for row in rows:
            with ui.element("li").classes("vp-item"):
                _draw(texts, row)
                with ui.element("div").classes("vp-item-actions"):
                    for verb in row.verbs:
                        button(
                            texts(f"machine.verb.{verb}"),
                            lambda row=row, verb=verb: on_steer(row, verb),
                            name=texts(f"machine.verb_named.{verb}", name=row.title),
                        )


def _draw(texts: Texts, row: ProgramRow) -> None:
    with ui.element("div").classes("vp-item-text"):
        with ui.element("div").classes("vp-row"):
            Text("h3", row.title).classes("vp-heading")
            with ui.element("span").classes(f"vp-state vp-small vp-{row.tone}"):
                ui.icon(_ICONS[row.tone]).props("aria-hidden=true")
                Text("span", row.state)
        if row.about:
            Text("p", row.about).classes("vp-muted")
        with fact_list():
            for fact in row.facts:
                Text("li", fact)
            if row.started_s is not None:
                with ui.element("li"):
                    RelativeTime(
                        texts,
                        datetime.fromtimestamp(row.started_s, UTC),
                        lambda when: texts("machine.since", when=when),
                    )

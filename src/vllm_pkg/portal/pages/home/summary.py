"""The first sentence of Home, and how far a start or a switch is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nicegui import ui

from vllm_pkg.errors import as_sentence
from vllm_pkg.portal.components.buttons import link_button
from vllm_pkg.portal.components.program_words import ProgramWords
from vllm_pkg.portal.components.progress import ProgressBar
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.headline import headline
from vllm_pkg.portal.situation import SIGNS, Situation, Tone, situation_of
from vllm_pkg.portal.start_words import describe_source
from vllm_pkg.portal.switch_words import view_switch

if TYPE_CHECKING:
    from vllm_pkg.portal.components.watching import Watch
    from vllm_pkg.portal.texts.catalogue import Texts

_IN_START = frozenset(
    {Situation.STARTING, Situation.LOADING, Situation.DOWNLOADING, Situation.LATE}
)


class SummaryPart:
    """
    The sentence with its icon, and a bar while something runs.

    Args:
        texts: The language.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        with ui.element("div").classes("vp-stack"):
            with ui.element("div").classes("vp-summary"):
                self._icon = ui.icon("").props("aria-hidden=true")
                self._sentence = Text("p").classes("vp-headline")
            self._more = ProgramWords("p", texts).classes("vp-muted")
            self._start = ui.element("div").classes("vp-stack")
            with self._start:
                self._bar = ProgressBar(texts("start.progress"))
                with ui.element("div").classes("vp-row"):
                    link_button(texts("start.watch"), "/start")
            self._switch = ui.element("div").classes("vp-stack")
            with self._switch:
                self._switch_bar = ProgressBar(texts("switch.progress"))
                with ui.element("div").classes("vp-row"):
                    link_button(texts("switch.watch"), "/start")

    def update(self, watch: Watch) -> None:
        """Show what is known now."""
        look, earlier = watch.look, watch.details.get("earlier", ())
        situation = situation_of(look)
        last = watch.details.get("lastRequest")
        self._sentence.say(
            headline(
                self._texts,
                look,
                datetime.now(UTC),
                is_usage_known="lastRequest" in watch.details,
                last_request=None if last is None else datetime.fromisoformat(last),
                earlier=earlier,
            )
        )
        self._show_icon(situation)
        # What is wrong with the state itself, only the program can tell.
        error = look.error
        self._more.set_visibility(error is not None)
        self._more.tell(_error_text(error) if error else "")
        start = look.state["start"] if look.state else None
        is_in_start = start is not None and situation in _IN_START
        self._start.set_visibility(is_in_start)
        if is_in_start and start is not None:
            source = describe_source(self._texts, start, earlier)
            self._bar.show(start["percent"], source)
        view = view_switch(self._texts, look.state["switch"]) if look.state else None
        self._switch.set_visibility(view is not None and not is_in_start)
        if view is not None:
            self._switch_bar.show(view.percent, view.sentence)

    def _show_icon(self, situation: Situation) -> None:
        sign = SIGNS[situation]
        self._icon.set_name(sign.icon)
        others = " ".join(f"vp-{tone}" for tone in Tone if tone is not sign.tone)
        self._icon.classes(f"vp-{sign.tone}", remove=others)


def _error_text(error: dict[str, str]) -> str:
    return f"{as_sentence(error['message'])} {as_sentence(error['hint'])}"

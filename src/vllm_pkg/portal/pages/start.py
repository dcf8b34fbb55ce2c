"""Start: how long will it take?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  # FastAPI reads the annotation
from nicegui import run, ui

from vllm_pkg.errors import ServiceError, as_sentence
from vllm_pkg.portal import wording
from vllm_pkg.portal.components.buttons import button, link_button
from vllm_pkg.portal.components.confirm import confirm
from vllm_pkg.portal.components.notice import tell
from vllm_pkg.portal.components.phase_list import PhaseList
from vllm_pkg.portal.components.progress import ProgressBar
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.start_bars import StartBars
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.components.watching import Watch
from vllm_pkg.portal.frame import page_frame, request_texts
from vllm_pkg.portal.said import say_plainly
from vllm_pkg.portal.situation import Tone
from vllm_pkg.portal.start_words import describe_source, describe_start
from vllm_pkg.portal.switch_words import SwitchView, view_switch
from vllm_pkg.service import switches
from vllm_pkg.service.starts import starts_json

if TYPE_CHECKING:
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts


def register(portal: Portal) -> None:
    """Add the page."""

    @ui.page("/start")
    def start(request: Request) -> None:
        texts = request_texts(request)
        with page_frame(texts, "/start"):
            parts = (
                _Present(texts),
                _Switch(portal, texts),
                _History(texts),
            )

            def update(watch: Watch) -> None:
                for part in parts:
                    part.update(watch)

            Watch(portal, starts_json, update).begin()


class _Present:
    """The start that goes on: its sentence, its bar and its phases."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        with ui.element("div").classes("vp-stack"):
            self._sentence = Text("p").classes("vp-headline")
            self._help = Text("p").classes("vp-muted")
            self._running = ui.element("div").classes("vp-stack")
            with self._running:
                self._bar = ProgressBar(texts("start.progress"))
                self._elapsed = Text("span").classes("vp-muted vp-small")
            with ui.element("div").classes("vp-row") as self._log:
                link_button(texts("start.show_log"), "/logs")
        with section(texts("start.phases")) as self._phases_card:
            self._phases = PhaseList(texts)

    def update(self, watch: Watch) -> None:
        """Show what is known now."""
        state = watch.look.state
        start = state["start"] if state else None
        is_there = start is not None
        is_ready = start is not None and start["readyAfterS"] is not None
        self._help.set_visibility(not is_there)
        self._log.set_visibility(is_there)
        self._running.set_visibility(is_there and not is_ready)
        self._phases_card.set_visibility(is_there)
        if start is None:
            self._sentence.say(self._texts("start.none"))
            self._help.say(self._texts("start.none_help"))
            return
        earlier = watch.details.get("earlier", ())
        self._sentence.say(describe_start(self._texts, start, earlier))
        exact_s = (
            start["etaS"] if start["readyAfterS"] is None else start["readyAfterS"]
        )
        exact = "" if exact_s is None else wording.exact(self._texts, exact_s)
        self._sentence.props["title"] = exact
        self._bar.show(start["percent"], describe_source(self._texts, start, earlier))
        elapsed_s = start["elapsedS"]
        time = wording.about(self._texts, elapsed_s)
        self._elapsed.say(self._texts("start.elapsed", time=time))
        self._elapsed.props["title"] = wording.exact(self._texts, elapsed_s)
        self._phases.show(start)


class _Switch:
    """The switch that is under way, and the button that ends it."""

    def __init__(self, portal: Portal, texts: Texts) -> None:
        self._portal = portal
        self._texts = texts
        self._view: SwitchView | None = None
        with section(texts("switch.title")) as self._card:
            self._bar = ProgressBar(texts("switch.progress"))
            with ui.element("div").classes("vp-row") as self._buttons:
                button(texts("switch.cancel"), self._cancel)
        self._card.set_visibility(False)

    def update(self, watch: Watch) -> None:
        """Show what is known now."""
        state = watch.look.state
        self._view = view_switch(self._texts, state["switch"]) if state else None
        self._card.set_visibility(self._view is not None)
        if self._view is not None:
            self._bar.show(self._view.percent, self._view.sentence)
            self._buttons.set_visibility(self._view.can_be_cancelled)

    async def _cancel(self) -> None:
        view, texts = self._view, self._texts
        if view is None or not await confirm(
            texts,
            texts("switch.cancel_question", new=view.new),
            lost=texts("switch.cancel_lost", new=view.new),
            gained=texts("switch.cancel_gained", old=view.old),
            action=texts("switch.cancel"),
            stay=texts("switch.keep"),
            is_destructive=False,
        ):
            return
        try:
            await run.io_bound(switches.cancel, self._portal.settings)
        except ServiceError as error:
            tell(say_plainly(texts, as_sentence(error.message)), Tone.BAD)
        else:
            tell(texts("switch.cancelled"))


class _History:
    """This and earlier starts as bars."""

    def __init__(self, texts: Texts) -> None:
        with section(texts("start.history")):
            self._bars = StartBars(texts)
        self._bars.show(None, ())

    def update(self, watch: Watch) -> None:
        """Show those that are known now."""
        if "earlier" not in watch.details:
            return
        self._bars.show(_unfinished(watch), watch.details["earlier"])


def _unfinished(watch: Watch) -> dict[str, Any] | None:
    """Return the present start while it goes on: once ready, it is in the history."""
    present: dict[str, Any] | None = watch.details["present"]
    start = watch.look.state["start"] if watch.look.state else None
    if present is None or start is None or start["readyAfterS"] is not None:
        return None
    # What was seen last may be newer than the details.
    return {**present, **start}

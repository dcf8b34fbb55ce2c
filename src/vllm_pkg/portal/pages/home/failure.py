"""The last failure, why it was, and the button that mends it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from nicegui import run, ui

from vllm_pkg.actions.apply_fix import ApplyFix
from vllm_pkg.errors import ServiceError
from vllm_pkg.portal.components.ago import RelativeTime
from vllm_pkg.portal.components.buttons import Look, button, link_button
from vllm_pkg.portal.components.notice import tell
from vllm_pkg.portal.components.program_words import ProgramWords
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.failure_words import FailureView, describe_fix, view_failure
from vllm_pkg.portal.said import say_error, say_plainly
from vllm_pkg.portal.situation import Tone
from vllm_pkg.service.acting import act

if TYPE_CHECKING:
    from vllm_pkg.portal.components.watching import Watch
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts


class FailurePart:
    """
    The banner; there is none while all is well.

    Args:
        portal: The running portal.
        texts: The language.
    """

    def __init__(self, portal: Portal, texts: Texts) -> None:
        self._portal = portal
        self._texts = texts
        self._shown: tuple[FailureView | None, bool] = (None, False)
        with section(texts("home.failure")) as self._card:
            self._content = ui.element("div").classes("vp-stack")
        self._card.classes("vp-banner vp-tone-bad").props("role=region")
        # Failures are read out at once.
        self._content.props("aria-live=assertive")
        self._card.set_visibility(False)

    def update(self, watch: Watch) -> None:
        """Show what went wrong, if anything did."""
        is_recent = watch.details.get("isFailureRecent", False)
        view = view_failure(self._texts, watch.look, is_recent=is_recent)
        has_fix = watch.details.get("fix") is not None
        if (view, has_fix) == self._shown:
            return
        self._shown = (view, has_fix)
        self._card.set_visibility(view is not None)
        self._content.clear()
        if view is not None:
            with self._content:
                self._draw(view, has_fix=has_fix)

    def _draw(self, view: FailureView, *, has_fix: bool) -> None:
        if view.title is not None:
            Text("p", view.title).classes("vp-lead vp-strong")
        for text, look in (
            (view.summary, "vp-lead vp-strong" if view.title is None else "vp-lead"),
            (view.explanation, "vp-lead"),
            (view.hint, "vp-lead"),
        ):
            if text:
                ProgramWords("p", self._texts, text).classes(look)
        if view.evidence:
            with ui.element("details"):
                Text("summary", self._texts("home.evidence"))
                Text("pre", view.evidence).classes("vp-code vp-wrap").props(
                    "tabindex=0"
                )
        RelativeTime(
            self._texts,
            datetime.fromisoformat(view.at),
            lambda ago: self._texts("home.failed_ago", ago=ago),
        ).classes("vp-muted vp-small")
        with ui.element("div").classes("vp-row"):
            if has_fix:
                self._fix = button(
                    describe_fix(self._texts, view.changes),
                    self._mend,
                    Look.PRIMARY,
                    icon="build",
                )
            link_button(self._texts("start.show_log"), "/logs")

    async def _mend(self) -> None:
        """Make the change at once: the button has said what it is."""
        # The banner may be gone before the answer comes, and the button with it.
        client, pressed = ui.context.client, self._fix
        pressed.props("loading").disable()
        try:
            result = await run.io_bound(act, self._portal.settings, ApplyFix.id, None)
        except ServiceError as error:
            text = say_error(self._texts, error.message, error.hint)
            tone = Tone.BAD
        else:
            # Nothing comes back from a portal that is shutting down.
            told = (result.message or result.title) if result else ""
            text = say_plainly(self._texts, told)
            tone = Tone.GOOD
        if not pressed.is_deleted:
            pressed.props(remove="loading").enable()
        with client:
            tell(text, tone)

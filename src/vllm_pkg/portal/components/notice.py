"""A short notice over the page: what came of a click."""

from __future__ import annotations

from nicegui import ui

from vllm_pkg.portal.situation import Tone

_ICONS = {
    Tone.GOOD: "check_circle",
    Tone.BUSY: "info",
    Tone.BAD: "error",
}
_READING_MS = 6000


def tell(text: str, tone: Tone = Tone.GOOD) -> None:
    """
    Show a notice for some seconds; it is read out too.

    Args:
        text: What it says, in whole sentences.
        tone: What a person has to think of it.
    """
    # Quasar's own kinds have colours that are too pale to read.
    ui.notify(
        text,
        position="top",
        icon=_ICONS[tone],
        classes=f"vp-notice vp-notice-{tone}",
        timeout=_READING_MS,
        # Otherwise it is white.
        textColor="",
    )

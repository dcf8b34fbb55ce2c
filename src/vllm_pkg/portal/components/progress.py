"""How much of something is done, as a bar with its text."""

from __future__ import annotations

from nicegui import ui

from vllm_pkg.portal.components.text import Text


class ProgressBar(ui.element):
    """
    A bar, with a sentence below it that says the same.

    Args:
        name: What it measures, for those who do not see it.
    """

    def __init__(self, name: str) -> None:
        super().__init__("div")
        self.classes("vp-progress")
        with self:
            self._track = ui.element("div").classes("vp-progress-track")
            self._track.props("role=progressbar aria-valuemin=0 aria-valuemax=100")
            self._track.props["aria-label"] = name
            with self._track:
                self._bar = ui.element("div").classes("vp-progress-bar")
            self._sentence = Text("p").classes("vp-muted")

    def show(self, percent: float | None, text: str) -> None:
        """
        Show how much is done.

        Args:
            percent: 0 to 100; None: it runs, and nobody knows how far.
            text: The sentence.
        """
        shown = None if percent is None else max(0, min(100, round(percent)))
        if shown != self._track.props.get("aria-valuenow"):
            if shown is None:
                del self._track.props["aria-valuenow"]
                self._bar.style(replace="")
            else:
                self._track.props["aria-valuenow"] = shown
                self._bar.style(replace=f"width: {shown}%")
        self._track.props["aria-valuetext"] = text
        self._sentence.say(text)

"""This and earlier starts as bars, with a legend and everything in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from nicegui import ui

from vllm_pkg.portal import wording
from vllm_pkg.portal.components.ago import RelativeTime
from vllm_pkg.portal.components.section import empty_state
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.start_bars import bars, present_phases, used_parts
from vllm_pkg.portal.start_chart import bar_svg, slowest
from vllm_pkg.portal.start_words import part_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vllm_pkg.portal.start_bars import Bar, Part
    from vllm_pkg.portal.texts.catalogue import Texts


class StartBars(ui.element):
    """
    Starts as stacked bars of one scale, the newest first.

    Args:
        texts: The language.
    """

    def __init__(self, texts: Texts) -> None:
        super().__init__("div")
        self.classes("vp-stack")
        self._texts = texts
        self._drawn: Any = None
        self._present: _Row | None = None

    def show(
        self, present: Mapping[str, Any] | None, earlier: Sequence[Mapping[str, Any]]
    ) -> None:
        """
        Show starts; the present one grows in place.

        Args:
            present: The start that goes on, as `starts_json` tells of it, or None.
            earlier: Those before it, the newest first.
        """
        phases = [] if present is None else [present_phases(present)]
        drawn = bars([*phases, *(run["phases"] for run in earlier)])
        parts = used_parts(drawn)
        # Another start, or another entry of the legend: nothing else moves anything.
        plan = (present is not None, parts, tuple(earlier))
        if plan != self._drawn:
            self._drawn = plan
            self._draw(present, earlier, drawn, parts)
        if present is not None and self._present is not None:
            self._present.show(_present_title(self._texts, present), drawn[0])

    def _draw(
        self,
        present: Mapping[str, Any] | None,
        earlier: Sequence[Mapping[str, Any]],
        drawn: Sequence[Bar],
        parts: Sequence[Part],
    ) -> None:
        self.clear()
        with self:
            if not drawn:
                with empty_state("bar_chart", self._texts("start.no_history")):
                    return
            _legend(self._texts, parts)
            with ui.element("ol").classes("vp-bars"):
                self._present = None
                if present is not None:
                    self._present = _Row(self._texts, Text("span"), drawn[0])
                for run, bar in zip(earlier, drawn[-len(earlier) :], strict=False):
                    _Row(self._texts, _earlier_title(self._texts, run), bar)


class _Row:
    """One start: its title, its bar, and what took longest."""

    def __init__(self, texts: Texts, title: Text, bar: Bar) -> None:
        self._texts = texts
        self._title = title
        with ui.element("li").classes("vp-bar") as row:
            title.move(row)
            self._bar = ui.html(sanitize=False).classes("vp-bar-picture")
            self._slowest = Text("span").classes("vp-muted vp-small")
        self.show(title.text, bar)

    def show(self, title: str, bar: Bar) -> None:
        self._title.say(title)
        self._bar.set_content(bar_svg(self._texts, bar))
        self._slowest.say(slowest(self._texts, bar))


def _present_title(texts: Texts, present: Mapping[str, Any]) -> str:
    time = wording.short(texts, present["readyAfterS"] or present["elapsedS"])
    return texts("start.bar_now", model=present["model"], time=time)


def _earlier_title(texts: Texts, run: Mapping[str, Any]) -> Text:
    time = wording.short(texts, run["seconds"])
    model = run["model"]
    return RelativeTime(
        texts, _instant(run["startedAt"]), _sentence(texts, model, time)
    )


def _sentence(texts: Texts, model: str, time: str) -> Callable[[str], str]:
    return lambda when: texts("start.bar_earlier", model=model, when=when, time=time)


def _instant(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else None


def _legend(texts: Texts, parts: Sequence[Part]) -> None:
    legend = ui.element("ul").classes("vp-legend")
    legend.props["aria-label"] = texts("start.legend")
    with legend:
        for part in parts:
            with ui.element("li"):
                swatch = ui.element("span").classes(f"vp-legend-mark vp-start-{part}")
                swatch.props("aria-hidden=true")
                Text("span", part_name(texts, part))

"""The bars of starts, as SVG and as words: pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from vllm_pkg.portal import wording
from vllm_pkg.portal.start_words import part_name

if TYPE_CHECKING:
    from vllm_pkg.portal.start_bars import Bar, Part
    from vllm_pkg.portal.texts.catalogue import Texts

_WIDTH: Final = 1000.0
_HEIGHT: Final = 20
# What tells neighbours apart without their colours.
_GAP: Final = 3.0
_WIDTH_MIN: Final = 2.0


def bar_svg(texts: Texts, bar: Bar) -> str:
    """
    Return a bar as SVG that takes the width it gets.

    Lengths stand in attributes and colours in classes: a page with a strict policy for
    its content allows no styles here.

    Args:
        texts: The language of its text alternative.
        bar: The start.
    """
    rectangles: list[str] = []
    left = 0.0
    for part, seconds in bar.parts:
        width = _WIDTH * bar.share * seconds / bar.seconds
        drawn = max(_WIDTH_MIN, width - _GAP)
        rectangles.append(
            f'<rect x="{left:.1f}" y="0" width="{drawn:.1f}" height="{_HEIGHT}" rx="2"'
            f' class="vp-start-{part}"></rect>'
        )
        left += width
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT}" preserveAspectRatio="none"'
        f' role="img" aria-label="{escape(describe_bar(texts, bar))}">'
        f"{''.join(rectangles)}</svg>"
    )


def describe_bar(texts: Texts, bar: Bar) -> str:
    """Return what a bar shows, in words."""
    return "; ".join(part_time(texts, part, seconds) for part, seconds in bar.parts)


def part_time(texts: Texts, part: Part, seconds: float) -> str:
    """Return a part with its time."""
    time = wording.short(texts, seconds)
    return texts("start.part_time", part=part_name(texts, part), time=time)


def slowest(texts: Texts, bar: Bar) -> str:
    """Return what took most of the time; empty for a start that took none."""
    if bar.longest is None:
        return ""
    part, seconds = bar.longest
    time = wording.short(texts, seconds)
    return texts("start.slowest", part=part_name(texts, part), time=time)

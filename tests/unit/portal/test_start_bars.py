"""The bars of starts: their parts, their scale, their words."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from vllm_pkg.portal.start_bars import Bar, Part, bars, present_phases, used_parts
from vllm_pkg.portal.start_chart import bar_svg, describe_bar, slowest
from vllm_pkg.portal.texts.catalogue import load_texts

EN = load_texts("en")
FIRST = (
    ("prepare", 2.0),
    ("download", 100.0),
    ("starting", 18.0),
    ("load", 40.0),
    ("compile", 20.0),
    ("capture", 12.0),
    ("warm-up", 8.0),
)
LATER = (("starting", 20.0), ("load", 30.0))


def _phases(pairs):
    return [{"phase": phase, "seconds": seconds} for phase, seconds in pairs]


def test_phases_are_put_together_as_people_see_them():
    """Preparing counts as the start of the engine, capturing as warm-up."""
    (bar,) = bars([_phases(FIRST)])

    assert bar.parts == (
        (Part.DOWNLOAD, 100.0),
        (Part.STARTING, 20.0),
        (Part.LOAD, 40.0),
        (Part.COMPILE, 20.0),
        (Part.WARM_UP, 20.0),
    )
    assert (bar.seconds, bar.share) == (200.0, 1.0)
    assert bar.longest == (Part.DOWNLOAD, 100.0)


def test_bars_have_one_scale():
    """A start of a quarter of the time has a bar of a quarter of the length."""
    drawn = bars([_phases(FIRST), _phases(LATER)])

    assert [bar.share for bar in drawn] == [1.0, 0.25]
    assert used_parts(drawn[1:]) == (Part.STARTING, Part.LOAD)


@pytest.mark.parametrize("phases", [[], _phases([("unheard-of", 5.0)])])
def test_a_start_without_known_phases_is_an_empty_bar(phases):
    """What another version wrote does no harm, and no start divides by zero."""
    (bar,) = bars([phases])

    assert bar == Bar((), 0, 0.0)
    assert (bar.longest, slowest(EN, bar)) == (None, "")
    assert bars([]) == ()


def test_the_present_phase_counts_until_now():
    """What a start has spent since its last phase ended belongs to the present one."""
    present = {"phase": "load", "phases": _phases(LATER[:1]), "elapsedS": 25}
    ready = {"phase": "ready", "phases": _phases(LATER), "elapsedS": 500}

    assert present_phases(present) == _phases([("starting", 20.0), ("load", 5.0)])
    assert present_phases(ready) == _phases(LATER)


def test_the_picture_is_drawn_to_scale():
    """The rectangles follow each other, and end where the bar's share ends."""
    drawn = bars([_phases(FIRST), _phases(LATER)])

    rectangles = list(ET.fromstring(bar_svg(EN, drawn[1])))  # noqa: S314  # our own

    assert [item.get("class") for item in rectangles] == [
        "vp-start-starting",
        "vp-start-load",
    ]
    assert [item.get("x") for item in rectangles] == ["0.0", "100.0"]
    assert [item.get("width") for item in rectangles] == ["97.0", "147.0"]


def test_a_sliver_can_be_seen():
    """A part of a second in an hour still has a width."""
    (bar,) = bars([_phases([("starting", 0.5), ("load", 3600.0)])])

    first, _ = ET.fromstring(bar_svg(EN, bar))  # noqa: S314

    assert first.get("width") == "2.0"


def test_a_picture_is_told_in_words():
    """What the bar shows stands in its name, and the slow part below it."""
    (bar,) = bars([_phases(LATER)])

    words = describe_bar(EN, bar).replace("\N{NO-BREAK SPACE}", " ")

    assert words == "Start of the engine: 20 s; Load: 30 s"
    assert slowest(EN, bar).replace("\N{NO-BREAK SPACE}", " ") == (
        "Most of it: Load, 30 s"
    )
    assert ET.fromstring(bar_svg(EN, bar)).get("aria-label") == describe_bar(EN, bar)  # noqa: S314

"""Tests for the filter and the search of the log page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_pkg.portal.logs.view import LINE_SHOWN_MAX, Lines, View, first_line_of
from vllm_pkg.service.log_levels import Level

LOG = [
    *("INFO: one", "ERROR: two", "  of two", "WARNING: three"),
    *("INFO: four", "ERROR: five"),
]
START = "=== vllm-pkg: engine start 2026-11-28T10:00:00Z ==="


def _lines(*texts: str) -> Lines:
    lines = Lines([*texts, ""])
    lines.grade(0)
    return lines


def test_a_last_line_without_text_is_none():
    """The empty line after a line feed is not counted until something is in it."""
    lines = _lines("a")
    assert len(lines) == 1

    lines.texts[-1] = "ERROR: b"
    lines.grade(1)

    assert len(lines) == 2
    assert lines.count(Level.ERROR) == 1


def test_without_a_filter_every_line_is_shown():
    """Positions are then the numbers of the lines."""
    view = View(_lines(*LOG))

    assert len(view) == 6
    assert view.texts(1, 3) == LOG[1:3]
    assert view.texts(4, 99) == LOG[4:]
    assert view.rows(1, 3) == [(Level.ERROR, LOG[1], 0), (Level.ERROR, LOG[2], 0)]
    assert view.position_of(5) == 5
    assert view.position_of(6) is None


def test_a_filter_shows_the_chosen_levels_only():
    """Levels are chosen together, and none of them means all."""
    view = View(_lines(*LOG))

    view.filter(frozenset({Level.ERROR, Level.WARNING}))

    assert view.texts(0, 99) == [LOG[1], LOG[2], LOG[3], LOG[5]]
    assert view.rows(3, 9) == [(Level.ERROR, LOG[5], 0)]
    assert view.position_of(3) == 2
    assert view.position_of(0) is None
    assert view.position_of(99) is None

    view.filter(frozenset())

    assert len(view) == 6


def test_a_long_line_is_shown_in_part():
    """How much is left out of it is told, and searching finds what is left out."""
    view = View(_lines("x" * LINE_SHOWN_MAX + "end"))

    view.search("END")

    assert view.rows(0, 1) == [(Level.OTHER, "x" * LINE_SHOWN_MAX, 3)]
    assert list(view.matches) == [0]


def test_a_search_goes_round():
    """Next and previous go from match to match, and on from the other end."""
    view = View(_lines(*LOG))

    view.search("error")

    assert list(view.matches) == [1, 5]
    assert view.next_match(-1) == 0
    assert view.next_match(1) == 1
    assert view.next_match(5) == 0
    assert view.next_match(5, is_back=True) == 0
    assert view.next_match(1, is_back=True) == 1
    assert view.next_match(-1, is_back=True) == 1


def test_a_search_without_a_match_leads_nowhere():
    """Nothing found, and nothing asked for, give no match."""
    view = View(_lines(*LOG))

    view.search("nothing like it")
    assert view.next_match(-1) is None

    view.search("")
    assert view.next_match(-1) is None


@settings(deadline=None)
@given(
    texts=st.lists(st.sampled_from([*LOG, "", "  more"]), max_size=12),
    changed=st.lists(st.sampled_from(LOG), max_size=4),
    first=st.integers(0, 12),
    levels=st.frozensets(st.sampled_from(Level)),
    query=st.sampled_from(["", "o", "five"]),
)
def test_taking_in_a_change_gives_what_a_new_look_gives(
    texts, changed, first, levels, query
):
    """After any change of the end of a log, filter and search are as if made anew."""
    lines = Lines([*texts, ""])
    lines.grade(0)
    view = View(lines)
    view.filter(levels)
    view.search(query)
    first = min(first, len(texts))
    lines.texts[first:] = [*changed, ""]
    lines.grade(min(first, len(lines)))

    position = view.update(first)

    anew = View(lines)
    anew.filter(levels)
    anew.search(query)
    assert view == anew
    before = [text for text in texts[:first] if text in view.texts(0, position)]
    assert len(before) >= position


@pytest.mark.parametrize(
    ("texts", "evidence", "line"),
    [
        ((START, "boom", START, "(A pid=1) ERROR boom now"), "boom", 3),
        ((START, "boom", START, "well"), "boom", 1),
        (("boom",), " boom ", 0),
        (("(A pid=1) INFO: f", "(A pid=1)   Input should be 1"), "", None),
        (("a", "field", "  Input should be 1"), "field  Input should be 1", 1),
        (("a", "b"), "c", None),
    ],
)
def test_a_failure_leads_to_its_line(texts, evidence, line):
    """The line of the last start, without what stands around its message."""
    assert first_line_of(texts, evidence) == line

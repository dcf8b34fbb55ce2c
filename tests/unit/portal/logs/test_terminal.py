"""Tests for the collapsing of a log as a terminal would show it."""

from __future__ import annotations

import string
from itertools import pairwise

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vllm_pkg.portal.logs.terminal import (
    ROW_CHARACTERS_MAX,
    SCREEN_COLUMNS,
    SCREEN_ROWS,
    Terminal,
)


def _rows(*pieces: str) -> list[str]:
    terminal = Terminal()
    for piece in pieces:
        terminal.feed(piece)
    return terminal.rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("one\ntwo\n", ["one", "two", ""]),
        ("one\r\ntwo", ["one", "two"]),
        ("10%\r20%\r100%\n", ["100%", ""]),
        ("12345\rab", ["ab345"]),
        ("a\nb\x1b[Axy", ["axy", "b"]),
        ("a\nb\x1b[9A\rx\x1b[9By", ["x", "by"]),
        ("12345\r\x1b[Kab", ["ab"]),
        ("12345\x1b[2D\x1b[1Kx", ["   x5"]),
        ("12345\x1b[2Kx", ["     x"]),
        ("12345\x1b[2Gx", ["1x345"]),
        ("a\x1b[3Cb", ["a   b"]),
        ("ab\b\b\bc", ["cb"]),
        ("a\tb", ["a       b"]),
        ("\x1b[1;31mred\x1b[0m", ["red"]),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", ["ab"]),
        ("\x1b(Ba\x1b7b\x1b[?25l\x1b[Jc", ["abc"]),
    ],
)
def test_what_programs_write_is_shown_as_on_a_terminal(text, rows):
    """Returns, movements, erasing and colours do what they do on a terminal."""
    assert _rows(text) == rows


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a\u2400b"),
        ("a\x7fb", "a\u2421b"),
        ("a\x9bb", "a\ufffdb"),
        ("a\u202eb", "a\ufffdb"),
        ("a\x1b", "a"),
        ("a\x1b[31", "a"),
        ("a\x1b\x1b[31mb", "a\u241bb"),
        ("a\x1b[31\x01b", "a\u241b[31\u2401b"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_a_sign(text, shown):
    """Control characters have a picture; what begins a sequence waits for its end."""
    assert _rows(text) == [shown]


def test_a_sequence_without_an_end_hides_nothing():
    """A title that never ends is shown as text once it is too long to be one."""
    (row,) = _rows("\x1b]0;" + "x" * 3000)

    assert row == "\u241b]0;" + "x" * 3000


def test_a_sequence_ends_with_its_line():
    """A title that is cut by a line feed does not swallow the next line."""
    assert _rows("\x1b]0;title\nnext\x07") == ["\u241b]0;title", "next\u2407"]


def test_rows_above_the_screen_are_final():
    """A program cannot change what has scrolled out of a screen."""
    rows = _rows("old\n" * (SCREEN_ROWS + 50) + "\x1b[999Anew")

    assert rows.index("new") == len(rows) - SCREEN_ROWS


def test_a_line_without_end_stays_bounded():
    """Text beyond the longest row is left out, and the next row is whole."""
    rows = _rows("x" * ROW_CHARACTERS_MAX, "y" * 100, "\nnext")

    assert rows == ["x" * ROW_CHARACTERS_MAX, "next"]


def test_a_movement_alone_makes_no_long_row():
    """A cursor sent far to the right stays within a screen."""
    assert len(_rows("\x1b[999999Cx")[0]) == SCREEN_COLUMNS + 1
    assert len(_rows("\x1b[999999Gx")[0]) == SCREEN_COLUMNS + 1


def test_the_first_changed_row_is_told():
    """Feeding returns which rows a reader must draw again."""
    terminal = Terminal()

    assert terminal.feed("a\nb\nc") == 0
    assert terminal.feed("d") == 2
    assert terminal.feed("\x1b[2A") == 3
    assert terminal.feed("x") == 0
    assert terminal.feed("\n") == 3
    assert terminal.feed("\n\n\n") == 3


def test_rows_can_be_dropped_from_the_start():
    """After the first rows are dropped the cursor still stands where it stood."""
    terminal = Terminal()
    terminal.feed("a\nb\nc\nd")

    terminal.drop_first(2)
    terminal.feed("e\x1b[Af")

    assert terminal.rows == ["c f", "de"]


_PIECES = st.sampled_from(
    [
        *("a", "bc", "\n", "\r", "\t", "\b", "\x1b", "[", "]", "0;", "31m", "A", "2K"),
        *("\x07", "\x1b\\", "\x1b[2A", "\x1b[K", "\x1b[5C", "\x1b(B", "\x00", "\u202e"),
    ]
)
_TEXT = st.lists(_PIECES, max_size=60).map("".join)


@settings(deadline=None)
@given(text=_TEXT, cuts=st.lists(st.integers(0, 200), max_size=8))
@example(text="\x1b]a\x1b[31mb", cuts=[1, 3, 4])
@example(text="\x1b]" + "a" * 2047 + "\x07b", cuts=[2049])
@example(text="\x1b]" + "a" * 2049 + "\x07b", cuts=[2050, 2051])
@example(text="\x1b]" + "a" * 2048 + "\x1b\\b", cuts=[2050, 2051])
def test_where_the_text_is_cut_changes_nothing(text, cuts):
    """Any division of a text into pieces gives the same rows."""
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(places)]

    assert _rows(*pieces) == _rows(text)


@settings(deadline=None)
@given(text=_TEXT, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_what_did_not_change_is_never_told_as_changed_too_late(text, cuts):
    """The rows before the first changed one are as they were before."""
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    terminal = Terminal()
    for start, end in pairwise(places):
        before = list(terminal.rows)
        first = terminal.feed(text[start:end])

        assert terminal.rows[:first] == before[:first]
        assert terminal.rows[first:] or terminal.rows == before


_COMMANDS = st.one_of(
    st.text(string.ascii_letters + string.digits + " ", min_size=1, max_size=12),
    st.sampled_from(["\n", "\r", "\b", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[31m"]),
    st.builds(
        lambda final, steps: f"\x1b[{steps or ''}{final}",
        st.sampled_from("ACDG"),
        st.integers(0, 5),
    ),
)


@settings(deadline=None)
@given(commands=st.lists(_COMMANDS, max_size=25))
def test_a_terminal_shows_the_same(commands):
    """Pyte, which emulates a real terminal, shows the same rows."""
    text = "".join(commands)
    screen = pyte.Screen(SCREEN_COLUMNS + 100, SCREEN_ROWS)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(text)

    shown = [row.rstrip() for row in _rows(text)]

    assert shown == [row.rstrip() for row in screen.display[: len(shown)]]
    assert not any(row.strip() for row in screen.display[len(shown) :])

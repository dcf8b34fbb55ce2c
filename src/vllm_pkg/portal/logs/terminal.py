"""
What a terminal would show of a program's output, without an end to scrolling back.

Progress bars go back to the start of their line, or some lines up, and write over what
stands there. Here the result is a list of rows, and the text may come in any pieces.
Colours are left out. The text is that of strangers: nothing in it can hide what
follows, and what cannot be seen is shown as a sign.
"""

from __future__ import annotations

import re
from typing import Final

# Rows above these are final: no program goes back further than a screen.
SCREEN_ROWS: Final = 100
# How far a movement alone can go to the right.
SCREEN_COLUMNS: Final = 300
ROW_CHARACTERS_MAX: Final = 1024 * 1024
_TAB: Final = 8
_OSC_MAX: Final = 2048

_BIDI: Final = "\u2028\u2029\u202a-\u202e\u2066-\u2069"
_CONTROLS: Final = rf"\x00-\x1f\x7f-\x9f{_BIDI}"
_CONTROL: Final = re.compile(f"[{_CONTROLS}]")
_OSC_TEXT: Final = rf"[^\x07\x1b\n]{{0,{_OSC_MAX}}}"
_TOKEN: Final = re.compile(
    rf"(?P<text>[^{_CONTROLS}]+)"
    r"|\x1b\[(?P<arguments>[0-?]{0,32})[ -/]{0,4}(?P<final>[@-~])"
    rf"|\x1b\]{_OSC_TEXT}(?:\x07|\x1b\\)"
    r"|\x1b[ -/]?[0-Z\\^-~]"
    r"|(?P<control>.)",
    re.DOTALL,
)
# The beginning of a sequence whose rest is still to come.
_UNFINISHED: Final = re.compile(
    rf"\x1b(?:\[[0-?]{{0,32}}[ -/]{{0,4}}|\]{_OSC_TEXT}\x1b?|[ -/])?\Z"
)
_LONGEST_SEQUENCE: Final = _OSC_MAX + 8
_NUMBER: Final = re.compile(r"\d{1,6}")
_PICTURES: Final = 0x2400
_DELETE: Final = "\x7f"
_UNKNOWN: Final = "\ufffd"


class Terminal:
    """
    Rows of text and a cursor.

    A line feed also returns to the first column, as terminals are set up for programs.
    """

    def __init__(self) -> None:
        self.rows: list[str] = [""]
        self._row = 0
        self._column = 0
        self._held = ""
        self._first_changed = 0

    def feed(self, text: str) -> int:
        """
        Show more text.

        Args:
            text: What came, cut anywhere.
        Returns:
            The number of the first row that is not as it was before; the number of
            rows when there is none.
        """
        self._first_changed = len(self.rows)
        text = self._held + text
        start = max(0, len(text) - _LONGEST_SEQUENCE)
        unfinished = _UNFINISHED.search(text, start)
        self._held = unfinished.group() if unfinished else ""
        if unfinished:
            text = text[: unfinished.start()]
        first, *others = text.split("\n")
        self._show(first)
        for line in others:
            self._feed_line()
            self._show(line)
        return self._first_changed

    def drop_first(self, count: int) -> None:
        """Forget the first rows; they must be above the screen."""
        del self.rows[:count]
        self._row -= count

    def _show(self, text: str) -> None:
        if _CONTROL.search(text) is None:
            self._write(text)
            return
        for token in _TOKEN.finditer(text):
            if token["text"]:
                self._write(token["text"])
            elif token["final"]:
                self._move(token["final"], token["arguments"])
            elif token["control"]:
                self._control(token["control"])

    def _control(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\b":
            self._column = max(0, self._column - 1)
        elif sign == "\t":
            self._column = (self._column // _TAB + 1) * _TAB
        elif sign == _DELETE:
            self._write("\u2421")
        elif sign < " ":
            self._write(chr(_PICTURES + ord(sign)))
        else:
            self._write(_UNKNOWN)

    def _move(self, final: str, arguments: str) -> None:
        number = _NUMBER.match(arguments)
        given = int(number.group()) if number else 0
        steps = max(1, given)
        if final == "A":
            top = max(0, len(self.rows) - SCREEN_ROWS)
            self._row = min(self._row, max(self._row - steps, top))
        elif final == "B":
            self._row = min(self._row + steps, len(self.rows) - 1)
        elif final == "C":
            right = min(self._column + steps, SCREEN_COLUMNS)
            self._column = max(self._column, right)
        elif final == "D":
            self._column = max(0, self._column - steps)
        elif final == "G":
            self._column = min(steps - 1, SCREEN_COLUMNS)
        elif final == "K":
            self._erase(given)

    def _erase(self, which: int) -> None:
        row = self.rows[self._row]
        if which == 0:
            self._change(row[: self._column])
        elif which == 1:
            blank = min(self._column + 1, len(row))
            self._change(" " * blank + row[blank:])
        else:
            self._change("")

    def _feed_line(self) -> None:
        self._column = 0
        self._row += 1
        if self._row == len(self.rows):
            self._first_changed = min(self._first_changed, self._row)
            self.rows.append("")

    def _write(self, text: str) -> None:
        start = self._column
        self._column += len(text)
        fitting = text[: max(0, ROW_CHARACTERS_MAX - start)]
        if not fitting:
            return
        row = self.rows[self._row]
        if start == len(row):
            self._change(row + fitting)
        else:
            before = row[:start].ljust(start)
            self._change(before + fitting + row[start + len(fitting) :])

    def _change(self, row: str) -> None:
        if row != self.rows[self._row]:
            self.rows[self._row] = row
            self._first_changed = min(self._first_changed, self._row)

"""How grave a line of a log is. Pure."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """Levels of a line; those without one are what programs print."""

    ERROR = 0
    WARNING = 1
    INFO = 2
    DEBUG = 3
    OTHER = 4


# What tells a level stands at the front.
_READ_MAX: Final = 300
_WORDS: Final = {
    "FATAL": Level.ERROR,
    "CRITICAL": Level.ERROR,
    "CRIT": Level.ERROR,
    "ERROR": Level.ERROR,
    "ERRO": Level.ERROR,
    "WARNING": Level.WARNING,
    "WARN": Level.WARNING,
    "INFO": Level.INFO,
    "DEBUG": Level.DEBUG,
    "DEBG": Level.DEBUG,
    "TRAC": Level.DEBUG,
    "BLAT": Level.DEBUG,
}
_LETTERS: Final = {
    "F": Level.ERROR,
    "E": Level.ERROR,
    "W": Level.WARNING,
    "I": Level.INFO,
}
# A worker's line may pass through another process, which puts its name before it.
_PROCESSES: Final = r"(?:\([\w.]{1,60} pid=\d+\) ?){0,4}"
# "(EngineCore pid=9) ERROR 11-21 ...", "INFO:     ...", "2026-11-28 16:09:54,123 WARN".
_WORD: Final = re.compile(
    _PROCESSES + r"(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,+:Z-]*\]? )?"
    r"\[?(" + "|".join(_WORDS) + r")\b[\]:]?(?:\s|$|[\w.]+:)"
)
# "[W1128 16:00:00.123456 ...", of libraries in C++.
_LETTER: Final = re.compile(r"\[?([FEWI])\d{4} \d\d:\d\d:\d\d")
_RAISED: Final = re.compile(
    _PROCESSES + r"(?:Traceback \(most recent call last\):|error: |Fatal Python error"
    r"|terminate called|[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)(?::|$))"
)
_WARNED: Final = re.compile(r"\S[^:]*:\d+: [A-Za-z]*Warning: |[A-Za-z]*Warning: ")


def level_of(line: str, before: Level) -> Level:
    """
    Return the level of a line.

    Args:
        line: As it is shown, without colours.
        before: The level of the line before it: what is indented belongs to that one.
    """
    text = line[:_READ_MAX]
    if text[:1].isspace():
        return before
    word = _WORD.match(text)
    if word:
        return _WORDS[word[1]]
    letter = _LETTER.match(text)
    if letter:
        return _LETTERS[letter[1]]
    if _RAISED.match(text):
        return Level.ERROR
    return Level.WARNING if _WARNED.match(text) else Level.OTHER

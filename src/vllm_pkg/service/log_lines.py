"""
Lines of a log as a person sees them in a terminal: pure.

A progress bar writes over its own line again and again; of such a line only what was
written last is shown. Colours are left out, and the level of a line is told apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from vllm_pkg.service.log_levels import Level, level_of

CHARACTERS_MAX: Final = 4000
_CUT: Final = " [...]"
# ECMA-48: control sequences, and operating system commands up to their end.
_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])"
)
# Tab and newline apart, which browsers and terminals understand alike.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class LogLine:
    """
    One line.

    Args:
        text: What is shown, without colours.
        level: What the line says of itself, without the lines around it.
        is_progress: Whether it was written over, as a progress bar does.
    """

    text: str
    level: Level = Level.OTHER
    is_progress: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "text": self.text,
            "level": None if self.level is Level.OTHER else self.level.name.lower(),
            "isProgress": self.is_progress,
        }


def read_line(data: bytes) -> LogLine | None:
    """
    Return a line as it is shown; None for an empty one.

    Args:
        data: Its bytes, without the newline at its end.
    """
    parts = data.split(b"\r")
    written = [part for part in parts if part.strip()]
    if not written:
        return None
    # A line that simply ends in CR LF was not written over.
    is_progress = len(written) > 1 or (len(parts) > 1 and parts[-1] != b"")
    return _shown(written[-1], is_progress=is_progress)


def _shown(data: bytes, *, is_progress: bool) -> LogLine | None:
    # Four bytes make a character at most: what is far too long is cut before it costs.
    text = data[: 8 * CHARACTERS_MAX].decode("utf-8", errors="replace")
    text = _CONTROLS.sub("", _ESCAPES.sub("", text)).rstrip()
    if not text.strip():
        return None
    if len(text) > CHARACTERS_MAX:
        text = text[:CHARACTERS_MAX] + _CUT
    return LogLine(text, level_of(text, Level.OTHER), is_progress)

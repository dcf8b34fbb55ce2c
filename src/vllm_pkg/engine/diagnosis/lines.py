"""
One line of an engine's log without what stands around its message. Pure.

vLLM's processes write ``(EngineCore pid=9) ERROR 11-21 20:00:01 [core.py:700] text``;
a traceback in a log has that prefix on each of its lines. Colours may stand anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# What tells a cause stands at the front; lists of everything supported may follow.
LINE_CHARACTERS_MAX: Final = 4096

_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PROCESS: Final = re.compile(r"\([\w.]{1,60} pid=\d+\) ?")
_LEVEL: Final = re.compile(
    r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]{1,80}\] ?"
)
# uvicorn, and Python's own logging.
_OTHER_LEVEL: Final = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL):")
_ERROR: Final = re.compile(
    r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Enabled|Resources)\b"
    r"|(?:vllm[\w -]{0,40}: )?error: |  Value error, |  Input should be "
    r"|Fatal Python error|terminate called|  what\(\):"
)
_SOURCE: Final = re.compile(r"    |  File ")
_ERROR_LEVELS: Final = frozenset({"ERROR", "CRITICAL"})


@dataclass(frozen=True)
class LogLine:
    """
    What a line says.

    Args:
        text: Its message, at most `LINE_CHARACTERS_MAX` characters.
        is_error: Whether it tells an error: by its level or, without one, by the way
            it begins. Not the source text that a traceback shows.
    """

    text: str
    is_error: bool


def read_line(raw: str) -> LogLine:
    """Return what a line of the log says."""
    text = plain_text(raw)
    if text.startswith("("):
        text = _PROCESS.sub("", text, count=1)
    level = _LEVEL.match(text)
    if level:
        text = text[level.end() :]
    found = level or _OTHER_LEVEL.match(text)
    if _SOURCE.match(text):
        return LogLine(text, is_error=False)
    if found and found.group(1) not in _ERROR_LEVELS:
        return LogLine(text, is_error=False)
    return LogLine(text, is_error=bool(found or _ERROR.match(text)))


def plain_text(raw: str) -> str:
    """Return a line without colours, and without what makes it too long."""
    text = raw[:LINE_CHARACTERS_MAX]
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    return text.rstrip()

"""Lines of a log as a terminal shows them."""

from __future__ import annotations

import pytest

from vllm_pkg.service.log_levels import Level
from vllm_pkg.service.log_lines import CHARACTERS_MAX, LogLine, read_line


@pytest.mark.parametrize("data", [b"", b"   ", b"\r", b"\x1b[0m", b" \r \r", b"\x07"])
def test_an_empty_line_is_left_out(data):
    """What shows nothing in a terminal is no line."""
    assert read_line(data) is None


@pytest.mark.parametrize(
    ("data", "level"),
    [
        (b"INFO 11-28 16:08:28 [core.py:1] ready", Level.INFO),
        (b"(EngineCore pid=12) WARNING 11-28 slow", Level.WARNING),
        (b"Traceback (most recent call last):", Level.ERROR),
        (b"INFORMATION for you", Level.OTHER),
        (b'  File "x.py", line 3, in INFO', Level.OTHER),
        (b"\x1b[32mINFO\x1b[0m in colour", Level.INFO),
    ],
)
def test_the_level_is_what_a_line_says_of_itself(data, level):
    """It is told by the line as it is shown, without the lines around it."""
    line = read_line(data)

    assert line is not None
    assert line.level is level


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"10%\r50%\r100%", LogLine("100%", is_progress=True)),
        (b"10%\r50%\r", LogLine("50%", is_progress=True)),
        (b"\r10%", LogLine("10%", is_progress=True)),
        (b"a line of Windows\r", LogLine("a line of Windows")),
        (b"caf\xc3\xa9 \xff", LogLine("café \ufffd")),
        (b"\x1b]0;title\x07\x1b[1;31mred\x1b[0m\x1b(B", LogLine("red")),
        (b"tab\tstays, bell\x07 goes", LogLine("tab\tstays, bell goes")),
    ],
)
def test_a_line_reads_as_in_a_terminal(data, expected):
    """What was written over is gone, and so are colours and bells."""
    assert read_line(data) == expected


def test_a_very_long_line_is_cut():
    """A line of megabytes does not reach a page, and says that it was cut."""
    line = read_line(b"x" * 10_000_000)

    assert line is not None
    assert line.text == "x" * CHARACTERS_MAX + " [...]"


def test_the_json_form():
    """It holds the text, the level and whether it is a progress bar."""
    line = LogLine("text", Level.INFO)

    assert line.as_json() == {"text": "text", "level": "info", "isProgress": False}
    assert LogLine("text").as_json()["level"] is None

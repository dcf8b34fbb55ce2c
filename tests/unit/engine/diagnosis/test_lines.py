"""Lines of a log without what stands around their message."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.diagnosis.lines import (
    LINE_CHARACTERS_MAX,
    LogLine,
    plain_text,
    read_line,
)

PREFIX = "(EngineCore pid=9) ERROR 11-21 20:00:01 [core.py:700]"


@pytest.mark.parametrize(
    ("raw", "text", "is_error"),
    [
        (f"{PREFIX} ValueError: no", "ValueError: no", True),
        (f"\x1b[0;36m(EngineCore pid=9)\x1b[0;0m {PREFIX[19:]} x\n", "x", True),
        (f"{PREFIX} Traceback (most recent call last):", None, True),
        (f'{PREFIX}   File "a.py", line 1', '  File "a.py", line 1', False),
        (f'{PREFIX}     raise ValueError("no")', '    raise ValueError("no")', False),
        ("(Worker_TP0 pid=12) torch.OutOfMemoryError: CUDA", None, True),
        ("(APIServer pid=1) INFO 11-21 20:00:01 [a.py:1] KeyError: x", None, False),
        ("WARNING 11-21 20:00:01 [a.py:1] OSError: [Errno 24]", None, False),
        ("INFO:     Application startup complete.", None, False),
        ("ERROR:    [Errno 98] error while attempting to bind", None, True),
        ("WARNING:root:MemoryError", None, False),
        ("vllm serve: error: argument --x: bad", None, True),
        ("error: port 1 is in use; stop it", None, True),
        ("  Value error, too long", "  Value error, too long", True),
        ("  Input should be less", "  Input should be less", True),
        ("KeyboardInterrupt", "KeyboardInterrupt", True),
        ("a plain word", "a plain word", False),
        ("", "", False),
    ],
)
def test_what_a_line_says(raw, text, is_error):
    """Prefix, level and colours are taken off; errors are told by level or form."""
    line = read_line(raw)

    assert line.is_error is is_error
    if text is not None:
        assert line == LogLine(text, is_error=is_error)


def test_long_lines_are_cut():
    """What tells a cause stands at the front of a line."""
    assert read_line("x" * 50_000_000).text == "x" * LINE_CHARACTERS_MAX
    assert plain_text("\x1b[31mred\x1b[0m  ") == "red"

"""Reading the engine's last start from its first line."""

from __future__ import annotations

import tracemalloc

import pytest

from vllm_pkg.engine import start_log
from vllm_pkg.engine.start_log import read_last_start
from vllm_pkg.errors import StateUnreadable

MARK = "=== vllm-pkg: engine start"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        ("a\nb\n", ["a", "b"]),
        ("a\n\n  \nb", ["a", "b"]),
        (f"old\n{MARK} 1\nx\n{MARK} 2\ny\n", [f"{MARK} 2", "y"]),
        (f"{MARK} 1\nx {MARK} no\ny", [f"{MARK} 1", f"x {MARK} no", "y"]),
        (f"x {MARK} no\ny", [f"x {MARK} no", "y"]),
        ("1%\r50%\r\nend", ["1%", "50%", "end"]),
    ],
)
def test_the_last_start_is_read(tmp_path, content, lines):
    """From the last line that begins with the mark; without one, everything."""
    path = tmp_path / "engine.log"
    path.write_text(content, newline="")

    assert list(read_last_start(path)) == lines


def test_a_missing_log_has_no_lines(tmp_path):
    """Nothing was started yet."""
    assert list(read_last_start(tmp_path / "engine.log")) == []


def test_older_parts_are_read_first(tmp_path, monkeypatch):
    """A start that spans rotated files is read whole, lines across two files too."""
    monkeypatch.setattr(start_log, "CHUNK_SIZE_BYTES", 7)
    path = tmp_path / "engine.log"
    (tmp_path / "engine.log.3").write_text(f"{MARK} old\nnever\n")
    (tmp_path / "engine.log.2").write_text(f"before\n{MARK} new\none\ntw")
    (tmp_path / "engine.log.1").write_text("o\nthree\n")
    path.write_text("four\nfive")

    assert list(read_last_start(path)) == [
        f"{MARK} new",
        *("one", "two", "three", "four", "five"),
    ]


def test_long_lines_and_bad_text_take_little_memory(tmp_path):
    """A line of 50 MB is cut, and what is no text does no harm."""
    path = tmp_path / "engine.log"
    path.write_bytes(b"x" * 50_000_000 + b"\n\xff\xfe end\n")
    tracemalloc.start()
    try:
        lines = list(read_last_start(path))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(lines) == 2
    assert lines[0].startswith("xxx")
    assert lines[1] == "\ufffd\ufffd end"
    assert peak_bytes < 8_000_000


def test_a_log_that_vanishes_is_read_as_far_as_it_is_there(tmp_path):
    """Rotation may take a file away between two looks."""
    path = tmp_path / "engine.log"
    older = tmp_path / "engine.log.1"
    path.write_text("b\n")
    older.write_text(f"{MARK} 1\na\n")
    reading = read_last_start(path)

    assert next(reading) == f"{MARK} 1"
    path.unlink()
    assert list(reading) == ["a"]
    assert start_log._last_mark(path) == -1


@pytest.mark.parametrize("step", ["_last_mark", "_lines"])
def test_a_log_that_cannot_be_read_is_told(tmp_path, monkeypatch, step):
    """A folder in its place is named with the reason."""
    path = tmp_path / "engine.log"
    path.mkdir()
    if step == "_lines":
        monkeypatch.setattr(start_log, "_last_mark", lambda _: 0)

    with pytest.raises(StateUnreadable, match=r"engine\.log: Is a directory"):
        list(read_last_start(path))

"""Lines out of chunks, and what is left out."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.recorder.lines import BYTES_PER_S_MAX, LineReader


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_come_whole_however_they_are_cut(size):
    """Chunks of any size give the same lines, with all kinds of ends."""
    data = "one\ntwo\r\n\nthree: 5%\rthree: 6%\rfür\n".encode()
    reader = LineReader()

    lines = []
    for start in range(0, len(data), size):
        lines += reader.feed(data[start : start + size], 0.0)

    assert lines == ["one", "two", "three: 5%", "three: 6%", "für"]


def test_what_is_no_text_is_read_all_the_same():
    """Bytes that are no UTF-8 become marks, and the line around them stays."""
    assert LineReader().feed(b"a\xff\xfeb\x00\n", 0.0) == ["a\ufffd\ufffdb\x00"]


def test_a_long_line_is_cut():
    """Of a line without end only the beginning is kept, and the next one is whole."""
    reader = LineReader()
    first = reader.feed(b"x" * 5000, 0.0)
    more = reader.feed(b"y" * 5000, 0.0)

    lines = reader.feed(b"\nnext\n", 0.0)

    assert first == more == []
    assert lines == ["x" * 4096, "next"]
    assert LineReader().feed(b"z" * 5000 + b"\n", 0.0) == ["z" * 4096]


def test_a_flood_is_left_out_and_the_next_second_is_read():
    """Beyond the limit nothing is read, not even the rest of a line, until a second."""
    reader = LineReader()
    within = reader.feed(b"a\n" * (BYTES_PER_S_MAX // 2), 0.0)
    beyond = reader.feed(b"b\nhalf of", 0.5)
    unclear = reader.feed(b" a line", 1.0)
    after = reader.feed(b", its end\nwhole\npart", 1.1)
    last = reader.feed(b"\n", 1.2)

    assert len(within) == BYTES_PER_S_MAX // 2
    assert beyond == unclear == []
    assert after == ["whole"]
    assert last == ["part"]

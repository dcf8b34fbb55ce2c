"""Reading log files that another process writes and rotates."""

from __future__ import annotations

import pytest

from vllm_pkg.hosts.standalone.log_files import follow, last_lines, whole_lines


def test_missing_file_has_no_lines(tmp_path):
    """No log yet is no error."""
    assert last_lines(tmp_path / "log") == []


def test_lines_end_at_carriage_returns_and_bad_bytes_survive(tmp_path):
    """Progress bars are split into lines, and bytes that are no text are replaced."""
    path = tmp_path / "log"
    path.write_bytes(b"a\r 50%\r100%\n\n\xff\xfe\nend")

    assert last_lines(path) == ["a", " 50%", "100%", "\ufffd\ufffd", "end"]


def test_only_the_end_is_read(tmp_path):
    """Of a large file only the end is read, without the line cut in two."""
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(1000)))

    assert last_lines(path, size_bytes=20) == ["line 998", "line 999"]


def test_follow_sees_what_is_added_and_survives_rotation(tmp_path):
    """Added text, a rotated file and its successor are all followed, none lost."""
    path = tmp_path / "log"
    path.write_text("history\n")

    def add_first() -> None:
        with path.open("a") as stream:
            stream.write("first\n")

    def rotate() -> None:
        with path.open("a") as stream:
            stream.write("last of old\n")
        path.rename(tmp_path / "log.1")

    steps = iter([add_first, rotate, lambda: path.write_text("first of new\n")])
    lines = follow(path, sleep=lambda _: next(steps)())

    assert next(lines) == "first\n"
    assert next(lines) == "last of old\n"
    assert next(lines) == "first of new\n"
    lines.close()


def test_follow_does_not_cut_characters(tmp_path):
    """A character that is written in two parts arrives whole."""
    path = tmp_path / "log"
    path.write_bytes(b"")
    parts = iter([b"a\xc3", b"\xb6\n"])

    def add(_: float) -> None:
        with path.open("ab") as stream:
            stream.write(next(parts))

    lines = follow(path, sleep=add)
    text = next(lines) + next(lines)
    lines.close()

    assert text == "a\xf6\n"


def test_pieces_become_whole_lines():
    """A line in pieces is one line, several in a piece are several, none is empty."""
    assert list(whole_lines(["a", "b\nc\r", "d\n\n", "e"])) == ["ab", "c", "d"]


def test_follow_waits_for_a_file(tmp_path):
    """A file that does not exist yet is waited for."""
    path = tmp_path / "log"

    def give_up(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(follow(path, sleep=give_up))

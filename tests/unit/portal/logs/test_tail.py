"""Tests for reading a log that grows, is cut and is rotated."""

from __future__ import annotations

import os

import pytest

from vllm_pkg.errors import StateUnreadable
from vllm_pkg.portal.logs.tail import Tail


def _added(tail: Tail) -> str | None:
    pieces = tail.added()
    return None if pieces is None else "".join(pieces)


def _history(tail: Tail) -> str:
    return "".join(tail.history())


@pytest.fixture(name="log")
def log_fixture(tmp_path):
    """The path of a log that does not exist yet."""
    return tmp_path / "engine.log"


def test_a_log_that_does_not_exist_yet_is_read_once_it_does(log):
    """Nothing comes from a missing file, and all of it when it is there."""
    tail = Tail(log)
    assert _history(tail) == ""
    assert _added(tail) == ""

    log.write_text("first\n")

    assert _added(tail) == "first\n"
    assert _added(tail) == ""
    tail.close()


def test_what_is_added_comes_once(log):
    """After the history come additions, also of half a character."""
    log.write_bytes(b"old\n")
    tail = Tail(log)
    assert _history(tail) == "old\n"

    with log.open("ab") as stream:
        stream.write("ä".encode()[:1])
        stream.flush()
        assert _added(tail) == ""
        stream.write("ä".encode()[1:] + b"\xff!")

    assert _added(tail) == "ä\ufffd!"
    tail.close()


def test_rotated_files_come_first(log):
    """The history begins in the oldest file, and a rotation loses nothing."""
    log.with_name("engine.log.2").write_text("1\n")
    log.with_name("engine.log.1").write_text("2\n")
    log.write_text("3\n")
    tail = Tail(log)
    assert _history(tail) == "1\n2\n3\n"
    assert not tail.is_cut

    with log.open("a") as stream:
        stream.write("4\n")
    log.rename(log.with_name("engine.log.1"))
    log.write_text("5\n")

    assert _added(tail) == "4\n5\n"
    with log.open("a") as stream:
        stream.write("6\n")
    assert _added(tail) == "6\n"
    tail.close()


def test_only_so_much_of_the_end_is_read(log):
    """Older text is left out from a whole line on, and that is told."""
    log.with_name("engine.log.1").write_text("older\n")
    log.write_text("aaaa\nbbbb\ncccc\n")
    tail = Tail(log, budget_bytes=12)

    assert _history(tail) == "bbbb\ncccc\n"
    assert tail.is_cut
    tail.close()


def test_a_log_that_was_cut_is_read_anew(log):
    """When a file is shorter than what was read of it, the reader is told."""
    log.write_text("a long beginning\n")
    tail = Tail(log)
    assert _history(tail) == "a long beginning\n"

    os.truncate(log, 2)

    assert _added(tail) is None
    assert _history(tail) == "a "
    tail.close()


def test_a_log_that_cannot_be_read_is_told(log):
    """A folder in its place, for instance, is an error with a reason."""
    log.symlink_to(log)
    tail = Tail(log)

    with pytest.raises(StateUnreadable, match="cannot read"):
        _added(tail)

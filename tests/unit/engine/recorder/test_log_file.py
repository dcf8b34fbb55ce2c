"""The log of one start: how it is begun, cut, and kept whole in trouble."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta, timezone

import pytest

from vllm_pkg.engine.recorder.log_file import StartLog, begin_log, drop_old

WRITE = "vllm_pkg.engine.recorder.log_file.os.write"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_log_begins_with_what_was_said(tmp_path):
    """The file is private, is named after the time in UTC, and has the first lines."""
    logs = tmp_path / "logs"
    later = NOW.astimezone(timezone(timedelta(hours=9)))

    path = begin_log(logs, ["one", "two"], later)

    assert path is not None
    assert path == logs / "engine-20260102T030405Z.log"
    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_starts_of_one_second_share_a_log(tmp_path):
    """Nothing is overwritten."""
    begin_log(tmp_path, ["one"], NOW)

    path = begin_log(tmp_path, ["two"], NOW)

    assert path is not None
    assert path.read_text() == "one\ntwo\n"


def test_the_oldest_logs_go(tmp_path):
    """Ten logs of starts are kept, and all other files."""
    (tmp_path / "engine.log").touch()
    (tmp_path / "host.log").touch()
    for minute in range(12):
        begin_log(tmp_path, ["x"], NOW + timedelta(minutes=minute))

    logs = sorted(path.name for path in tmp_path.glob("engine-*"))

    assert len(logs) == 10
    assert logs[0] == "engine-20260102T030605Z.log"
    assert (tmp_path / "engine.log").exists()
    assert (tmp_path / "host.log").exists()


def test_an_old_log_that_cannot_go_stays(tmp_path):
    """A folder in the place of a log is no reason not to start."""
    (tmp_path / "engine-1.log").mkdir()
    (tmp_path / "engine-2.log").touch()

    drop_old(tmp_path, kept=1)

    assert (tmp_path / "engine-1.log").is_dir()


@pytest.mark.parametrize("place", ["file", "link"])
def test_where_no_log_can_be_made_there_is_none(tmp_path, place):
    """A file in the folder's place, or a link in the log's, is not written through."""
    logs = tmp_path / "logs"
    other = tmp_path / "other"
    other.write_text("")
    if place == "file":
        logs.write_text("")
    else:
        logs.mkdir()
        (logs / "engine-20260102T030405Z.log").symlink_to(other)

    assert begin_log(logs, ["x"], NOW) is None
    assert other.read_text() == ""


def test_beginning_and_end_of_a_long_log_are_kept(tmp_path):
    """Beyond its limit the middle goes, at the end of a line, and that is told."""
    path = tmp_path / "log"
    log = StartLog(path, size_max_bytes=1000, head_bytes=200, tail_bytes=100)
    for number in range(500):
        log.write(f"line {number:04}\n".encode(), 0.0)
        assert path.stat().st_size <= 1000 + 10
    log.close()

    lines = path.read_text().splitlines()
    assert lines[:20] == [f"line {number:04}" for number in range(20)]
    assert lines[20] == ""
    assert lines[21].startswith("[vllm-pkg: ")
    assert lines[21].endswith(" bytes were left out]")
    assert (
        lines[22:] == [f"line {number:04}" for number in range(500)][-len(lines[22:]) :]
    )
    # However it was cut, the last tenth of the limit is there.
    assert len(lines[22:]) >= 9


def test_what_was_left_out_is_counted(tmp_path):
    """The bytes that are told are those that are not there."""
    path = tmp_path / "log"
    log = StartLog(path, size_max_bytes=100, head_bytes=50, tail_bytes=20)

    log.write(b"a" * 99 + b"\n" + b"b" * 9 + b"\n", 0.0)

    assert path.read_bytes() == (
        b"a" * 50 + b"\n[vllm-pkg: 50 bytes were left out]\n" + b"b" * 9 + b"\n"
    )


def test_a_gap_is_told_where_it_was(tmp_path, monkeypatch):
    """While the disk is full nothing is kept; then what is missing is told."""
    path = tmp_path / "log"
    log = StartLog(path)
    log.write(b"before\n", 0.0)
    real_write = os.write

    def full(descriptor, data):
        if len(data) > 3:
            return real_write(descriptor, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(WRITE, full)
    log.write(b"meanwhile\n", 1.0)
    log.write(b"x" * 100, 1.5)
    monkeypatch.setattr(WRITE, real_write)
    log.write(b"too early\n", 1.9)
    log.write(b"after\n", 2.0)

    assert path.read_text() == (
        "before\nmeanwhile"
        "\n[vllm-pkg: 111 bytes are missing: they were not written]\nafter\n"
    )


def test_without_a_file_nothing_is_kept_and_nothing_fails(tmp_path):
    """No name, and a name that cannot be opened, are no error."""
    nowhere = StartLog(None)
    nowhere.write(b"x", 0.0)
    nowhere.close()
    impossible = StartLog(tmp_path / "none" / "log")
    impossible.write(b"x", 0.0)
    impossible.close()

    assert list(tmp_path.iterdir()) == []

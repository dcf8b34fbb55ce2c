"""Atomic, durable files under one lock."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

import pytest

from vllm_pkg.errors import StateLocked, StateWriteFailed
from vllm_pkg.state import atomic


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_write_sets_content_and_mode(tmp_path, umask, mode):
    """Content and mode are exact under any umask, also over a file with another."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    before = os.umask(umask)
    try:
        atomic.write_file(path, b"new", mode)
    finally:
        os.umask(before)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, call, code):
    """Whatever call fails, the old file is whole and no temporary file stays."""
    path = tmp_path / "file"
    atomic.write_file(path, b"old")

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StateWriteFailed) as caught:
        atomic.write_file(path, b"new")

    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    assert str(path) in caught.value.message
    assert os.strerror(code) in caught.value.message


def test_a_full_disk_gets_its_own_hint(tmp_path, monkeypatch):
    """A full disk is told with what to do about it."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(StateWriteFailed) as caught:
        atomic.write_file(tmp_path / "file", b"new")

    assert caught.value.hint.startswith("free some disk space")


def test_short_writes_are_continued(tmp_path, monkeypatch):
    """A kernel that writes one byte at a time still gives the whole file."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:1])))

    atomic.write_file(tmp_path / "file", b"abc")

    assert (tmp_path / "file").read_bytes() == b"abc"


def test_move_is_durable_and_tells_failures(tmp_path):
    """A rename works, and a missing source is a state error."""
    (tmp_path / "a").write_text("x")

    atomic.move_file(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "b").read_text() == "x"
    with pytest.raises(StateWriteFailed):
        atomic.move_file(tmp_path / "a", tmp_path / "c")


def test_remove_tells_whether_there_was_one(tmp_path):
    """Removing says if a file was there; a folder in its place is an error."""
    (tmp_path / "a").write_text("x")

    assert atomic.remove_file(tmp_path / "a") is True
    assert atomic.remove_file(tmp_path / "a") is False
    with pytest.raises(StateWriteFailed):
        atomic.remove_file(tmp_path)


def test_sweep_removes_only_our_temporary_files(tmp_path):
    """What an interrupted write left goes, everything else stays."""
    (tmp_path / ".store.json.17.tmp").write_text("half")
    (tmp_path / "store.json").write_text("{}")
    (tmp_path / "notes.tmp").write_text("mine")

    assert atomic.sweep_temporary_files(tmp_path) == 1
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "notes.tmp",
        "store.json",
    ]


def test_lock_excludes_and_frees(tmp_path):
    """A held lock refuses a second holder in time, and a freed one does not."""
    lock = tmp_path / "folder" / ".lock"

    with (
        atomic.locked(lock),
        pytest.raises(StateLocked) as caught,
        atomic.locked(lock, timeout_s=0.05),
    ):
        pass

    assert str(lock) in caught.value.message
    with atomic.locked(lock, timeout_s=0.05):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_lock_that_cannot_be_made(tmp_path):
    """A lock file that cannot be opened is a state error, not a crash."""
    (tmp_path / "lock").mkdir()

    with pytest.raises(StateWriteFailed), atomic.locked(tmp_path / "lock"):
        pass


def test_lock_that_the_file_system_refuses(tmp_path, monkeypatch):
    """An error of flock other than "held" is told, not waited for."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(StateWriteFailed), atomic.locked(tmp_path / "lock"):
        pass


def test_folder_is_private_and_failures_are_told(tmp_path):
    """A new folder has its mode; one that cannot be made is a state error."""
    before = os.umask(0)
    try:
        atomic.make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    (tmp_path / "file").write_text("")

    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    with pytest.raises(StateWriteFailed):
        atomic.make_folder(tmp_path / "file" / "b")


def test_errors_without_a_number_are_told(tmp_path, monkeypatch):
    """An error without errno is told by its text."""

    def fail(*_: object) -> None:
        raise OSError("odd")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StateWriteFailed, match="odd"):
        atomic.write_file(tmp_path / "file", b"")

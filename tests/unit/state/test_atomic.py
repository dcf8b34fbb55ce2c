"""Atomic, durable files under one lock."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

import pytest

from vllm_pkg.errors import StateLocked, StateWriteFailed
from vllm_pkg.state import atomic, locks

if TYPE_CHECKING:
    from pathlib import Path


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
        locks.locked(lock),
        pytest.raises(StateLocked) as caught,
        locks.locked(lock, timeout_s=0.05),
    ):
        pass

    assert str(lock) in caught.value.message
    with locks.locked(lock, timeout_s=0.05):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_lock_that_cannot_be_made(tmp_path):
    """A lock file that cannot be opened is a state error, not a crash."""
    (tmp_path / "lock").mkdir()

    with pytest.raises(StateWriteFailed), locks.locked(tmp_path / "lock"):
        pass


def test_lock_that_the_file_system_refuses(tmp_path, monkeypatch):
    """An error of flock other than "held" is told, not waited for."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(StateWriteFailed), locks.locked(tmp_path / "lock"):
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


def _claims(folder):
    return [item.name for item in folder.iterdir() if item.name.endswith(".tmp")]


@pytest.mark.parametrize("before", [None, b"", b"old"])
def test_replace_on_what_was_read(tmp_path, before):
    """A file that nobody has touched is replaced, whether there was one or not."""
    path, lock = tmp_path / "file", tmp_path / "lock"
    if before is not None:
        path.write_bytes(before)
    with locks.locked(lock):
        atomic.replace_file(path, b"new", before, lock)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert _claims(tmp_path) == []


@pytest.mark.parametrize("based_on", [None, b"older"])
def test_replace_refuses_what_has_changed(tmp_path, based_on):
    """A file that another program has changed stays, and the caller is told."""
    path, lock = tmp_path / "file", tmp_path / "lock"
    path.write_bytes(b"theirs")
    with locks.locked(lock), pytest.raises(StateLocked, match="at the same moment"):
        atomic.replace_file(path, b"ours", based_on, lock)

    assert path.read_bytes() == b"theirs"
    assert _claims(tmp_path) == []


def _leave_claim(path, lock, monkeypatch):
    """Leave what a writer leaves that is killed before the rename."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: os._exit(0))
        child = os.fork()
        if child == 0:
            try:
                with locks.locked(lock):
                    atomic.replace_file(path, b"half", None, lock)
            finally:
                os._exit(1)
    os.waitpid(child, 0)
    assert len(_claims(path.parent)) == 1


def test_a_leftover_does_not_keep_writers_out(tmp_path, monkeypatch):
    """What a killed writer left is removed, since the lock says that nobody writes."""
    path, lock = tmp_path / "file", tmp_path / "lock"
    _leave_claim(path, lock, monkeypatch)
    with locks.locked(lock):
        atomic.replace_file(path, b"new", None, lock)

    assert path.read_bytes() == b"new"
    assert _claims(tmp_path) == []


def test_without_locks_a_claim_keeps_writers_out(tmp_path, monkeypatch):
    """Where flock does nothing, a claim may be a living one, until it is old."""
    path, lock = tmp_path / "file", tmp_path / "lock"
    _leave_claim(path, lock, monkeypatch)
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with locks.locked(lock):
        with pytest.raises(StateLocked):
            atomic.replace_file(path, b"new", None, lock)
        assert len(_claims(tmp_path)) == 1
        os.utime(tmp_path / _claims(tmp_path)[0], (0, 0))
        atomic.replace_file(path, b"new", None, lock)

    assert path.read_bytes() == b"new"


def test_of_two_claims_at_once_one_is_refused(tmp_path, monkeypatch):
    """A claim that appears after the look for one still keeps the second writer out."""
    path, lock = tmp_path / "file", tmp_path / "lock"
    _leave_claim(path, lock, monkeypatch)
    monkeypatch.setattr(atomic, "_drop_leftover", lambda *_: None)
    with locks.locked(lock), pytest.raises(StateLocked):
        atomic.replace_file(path, b"new", None, lock)

    assert len(_claims(tmp_path)) == 1


def test_a_lock_that_cannot_be_asked_is_no_proof(tmp_path, monkeypatch):
    """When flock fails otherwise, a claim counts as a living one."""
    path, lock = tmp_path / "file", tmp_path / "lock"
    _leave_claim(path, lock, monkeypatch)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    with locks.locked(lock):
        monkeypatch.setattr(fcntl, "flock", refuse)
        with pytest.raises(StateLocked):
            atomic.replace_file(path, b"new", None, lock)


def test_a_claim_that_cannot_be_asked_is_told(tmp_path):
    """An error while looking for a claim is a state error."""
    path, lock = tmp_path / ("x" * 250), tmp_path / "lock"
    with locks.locked(lock), pytest.raises(StateWriteFailed, match="too long"):
        atomic.replace_file(path, b"new", None, lock)


def test_a_file_that_cannot_be_compared_stays(tmp_path):
    """When the present file cannot be read, nothing is replaced."""
    path, lock = tmp_path / "file", tmp_path / "lock"
    path.mkdir()
    with locks.locked(lock), pytest.raises(StateWriteFailed):
        atomic.replace_file(path, b"new", None, lock)

    assert path.is_dir()
    assert _claims(tmp_path) == []


def test_the_folder_is_looked_for_first(tmp_path):
    """A folder that is not there is told before anything is written."""
    with pytest.raises(StateWriteFailed, match="No such file"):
        atomic.write_file(tmp_path / "none" / "file", b"new")


def test_a_folder_that_cannot_be_synced_is_told(tmp_path, monkeypatch):
    """After the rename an error says that the new file is there, perhaps for now."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    real = os.fsync

    def fail_for_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(StateWriteFailed, match="may not survive") as caught:
        atomic.write_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert caught.value.hint == "check the disk; the new content is in place"


def test_names_are_reserved_once(tmp_path):
    """A name is free once, and a folder that cannot be used is told."""
    assert atomic.reserve_file(tmp_path / "a") is True
    assert atomic.reserve_file(tmp_path / "a") is False
    with pytest.raises(StateWriteFailed):
        atomic.reserve_file(tmp_path / "none" / "a")


def test_sweep_leaves_the_files_of_living_writers(tmp_path):
    """A temporary file of a living process is its own; of a dead one it is swept."""
    alive = f".start.json.{os.getppid()}.0123abcd.tmp"
    for name in (alive, f".start.json.{os.getpid()}.0123abcd.tmp"):
        (tmp_path / name).touch()
    (tmp_path / ".start.json.999999999.0123abcd.tmp").touch()

    assert atomic.sweep_temporary_files(tmp_path) == 2
    assert [item.name for item in tmp_path.iterdir()] == [alive]


def test_sweep_of_no_folder(tmp_path):
    """No folder has nothing to sweep; one that cannot be read is told."""
    assert atomic.sweep_temporary_files(tmp_path / "none") == 0
    (tmp_path / "file").touch()
    with pytest.raises(StateWriteFailed):
        atomic.sweep_temporary_files(tmp_path / "file")


def test_folders_above_are_made_durable(tmp_path, monkeypatch):
    """Each folder that gets a new name in it is synced."""
    synced: list[Path] = []
    monkeypatch.setattr(atomic, "sync_folder", synced.append)

    atomic.make_folder(tmp_path / "a" / "b" / "c")

    assert sorted(synced) == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]

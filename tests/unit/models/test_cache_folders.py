"""Folders held open, running downloads, and the store: what else may stand there."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from support.model_cache import ONE, add_revision, share_blob
from vllm_pkg.models import running_downloads
from vllm_pkg.models.open_folder import open_folder
from vllm_pkg.models.removal import Tally, remove_entry
from vllm_pkg.models.repository_reader import read_repository
from vllm_pkg.models.running_downloads import is_downloading
from vllm_pkg.models.shared_blobs import (
    collect_unused,
    linked_payloads,
    payload_of,
    read_payload,
)

HASH = "ab" + "0" * 62


@pytest.fixture(name="cache")
def cache_fixture(tmp_path, monkeypatch):
    """An empty cache, held open."""
    monkeypatch.setattr(running_downloads, "WATCH_S", 0)
    with open_folder(tmp_path) as folder:
        yield folder


def test_an_open_folder_follows_no_link(cache, tmp_path):
    """A link in the place of a folder or file is an error, not a way."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "file").write_text("text")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "to-file").symlink_to("file")
    with cache.inside("real", "deep") as folder:
        assert folder.names() == []
    with pytest.raises(NotADirectoryError), cache.inside("link"):
        pass
    with cache.inside("real") as folder:
        assert folder.read("file", 2) == b"te"
        with pytest.raises(OSError, match="symbolic links"):
            folder.read("to-file", 2)
        assert folder.link("to-file") == "file"


def test_a_closed_descriptor_does_not_leak(cache, tmp_path):
    """However far an open goes, nothing stays open."""
    (tmp_path / "a").mkdir()
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    for _ in range(3):
        with pytest.raises(FileNotFoundError), cache.inside("a", "b"):
            pass
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_what_disappears_meanwhile_is_no_failure(cache, tmp_path, monkeypatch):
    """A file that goes while it is to be removed is neither counted nor a failure."""
    (tmp_path / "file").write_text("text")
    real = os.unlink

    def vanish(name, *, dir_fd=None):
        real(name, dir_fd=dir_fd)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "unlink", vanish)
    tally = Tally()
    remove_entry(cache, "file", tally)
    assert tally == Tally()


def test_what_disappears_while_it_is_read(cache, tmp_path, monkeypatch):
    """A file that goes while a repository is read is left out."""
    add_revision(tmp_path / "models--a", ONE, {"a": b"a", "b": b"b"}, ("main",))
    real = os.stat
    gone = FileNotFoundError(2, "No such file or directory")

    def vanish(name, *arguments, **options):
        if name == "a":
            raise gone
        return real(name, *arguments, **options)

    monkeypatch.setattr(os, "stat", vanish)
    content = read_repository(cache, "models--a")
    assert content is not None
    assert set(content.snapshot(ONE)) == {"b"}
    monkeypatch.setattr(os, "readlink", lambda *_, **__: (_ for _ in ()).throw(gone))
    content = read_repository(cache, "models--a")
    assert content is not None
    assert content.snapshot(ONE) == {}
    assert read_repository(cache, "models--b") is None


def test_locks_that_disappear_or_are_no_locks(cache, tmp_path, monkeypatch):
    """Locks of nobody are no download, and neither is a lock that has just gone."""
    assert not is_downloading(cache, "models--a")
    locks = tmp_path / ".locks" / "models--a"
    locks.mkdir(parents=True)
    (locks / "etag.lock").touch()
    (locks / "note").touch()
    assert not is_downloading(cache, "models--a")
    real = os.open

    def vanish(path, flags, mode=0o777, *, dir_fd=None):
        if path == "etag.lock":
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", vanish)
    assert not is_downloading(cache, "models--a")


def test_a_partial_file_that_stands_still(cache, tmp_path):
    """A partial file that nobody writes to is no download; one more is."""
    blobs = tmp_path / "models--a" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "e.incomplete").write_bytes(b"p")
    assert not is_downloading(cache, "models--a")
    with pytest.MonkeyPatch.context() as patch:
        more = blobs / "f.incomplete"
        patch.setattr(time, "sleep", lambda _: more.touch())
        assert is_downloading(cache, "models--a")


def test_a_folder_that_goes_while_it_is_watched(cache, tmp_path):
    """A repository that disappears meanwhile has changed."""
    blobs = tmp_path / "models--a" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "e.incomplete").write_bytes(b"p")
    with pytest.MonkeyPatch.context() as patch:
        elsewhere = tmp_path / "elsewhere"
        patch.setattr(time, "sleep", lambda _: blobs.rename(elsewhere))
        assert is_downloading(cache, "models--a")


@pytest.mark.parametrize(
    ("link", "payload"),
    [
        (f"../../blobs/ab/{HASH}", HASH),
        (f"/data/models/blobs/ab/{HASH}", HASH),
        (f"../../blobs/cd/{HASH}", None),
        (f"../../store/ab/{HASH}", None),
        (f"ab/{HASH}", None),
        ("../../blobs/ab/notes", None),
        ("", None),
    ],
)
def test_links_into_the_store(link, payload):
    """The end of a link decides whether it leads to a payload."""
    assert payload_of(link) == payload


def test_collecting_what_is_not_there(cache, tmp_path):
    """Payloads that have gone, with their folder or without, are no failure."""
    tally = Tally()
    collect_unused(cache, {HASH}, tally)
    (tmp_path / "blobs" / "ab").mkdir(parents=True)
    collect_unused(cache, {HASH}, tally)
    assert tally == Tally()
    assert linked_payloads(cache, "models--a") == frozenset()


def test_a_store_without_the_folder_of_a_payload(cache, tmp_path):
    """A link to a payload whose folder has gone is a missing file."""
    repository = tmp_path / "models--a"
    add_revision(repository, ONE, {"a": b"a" * 100})
    payload = share_blob(repository, b"a" * 100)
    shutil.rmtree(payload.parent)
    assert read_payload(cache, payload.name, is_headed=True) is None


def test_blobs_that_are_no_links_use_nothing(cache, tmp_path):
    """Only links count as uses; files and what is left of deletions do not."""
    repository = tmp_path / "models--a"
    add_revision(repository, ONE, {"a": b"a" * 100, "b": b"b"})
    payload = share_blob(repository, b"a" * 100)
    (tmp_path / "file").touch()
    repository.rename(tmp_path / ".deleting-1--models--a")
    tally = Tally()
    collect_unused(cache, {payload.name}, tally)
    assert tally.failures == []
    assert not payload.exists()

"""A file that arrives piece by piece counts only when it is whole and on the disk."""

from __future__ import annotations

import os

import pytest

from vllm_pkg.models.download import part_file
from vllm_pkg.models.download.listing import RemoteFile
from vllm_pkg.models.download.part_file import PartFile, WrongContent
from vllm_pkg.state import atomic

CONTENT = b"hello\n"
FILE = RemoteFile(
    "a", 6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
)


@pytest.fixture(name="path")
def path_fixture(tmp_path):
    """Where the content arrives."""
    return tmp_path / "blob.incomplete"


def open_part(path):
    """Open it; nobody wants to know what was read."""
    return PartFile(path, FILE, lambda _size_bytes: None)


def test_it_goes_on_with_what_is_there(path, tmp_path):
    """Two tries bring one file."""
    with open_part(path) as part:
        part.write(b"hel")
    with open_part(path) as part:
        missing_bytes = part.missing_bytes
        part.write(b"lo\n")
        part.finish(tmp_path / "blob")

    assert missing_bytes == 3
    assert (tmp_path / "blob").read_bytes() == CONTENT
    assert not path.exists()


def test_it_is_on_the_disk_before_it_has_its_name(path, tmp_path, monkeypatch):
    """The sync comes before the rename, so a loss of power leaves no wrong blob."""
    order: list[str] = []
    move = atomic.move_file

    def rename(source, target):
        order.append("rename")
        move(source, target)

    monkeypatch.setattr(os, "fdatasync", lambda _: order.append("sync"))
    monkeypatch.setattr(atomic, "move_file", rename)

    with open_part(path) as part:
        part.write(CONTENT)
        part.finish(tmp_path / "blob")

    assert order == ["sync", "rename"]


def test_it_syncs_now_and_then(path, monkeypatch):
    """So that the last sync of a large file is short."""
    synced: list[int] = []
    monkeypatch.setattr(part_file, "SYNC_EVERY_BYTES", 2)
    monkeypatch.setattr(os, "fdatasync", synced.append)

    with open_part(path) as part:
        part.write(b"h")
        part.write(b"e")
        part.write(b"l")

    assert len(synced) == 1


def test_wrong_content_is_thrown_away(path, tmp_path):
    """The right length is not enough."""
    with open_part(path) as part:
        part.write(b"HELLO\n")
        with pytest.raises(WrongContent, match="hash"):
            part.finish(tmp_path / "blob")

    assert path.stat().st_size == 0
    assert not (tmp_path / "blob").exists()


def test_more_than_announced_is_thrown_away(path):
    """What is too long is wrong from its beginning."""
    with open_part(path) as part:
        part.write(b"hel")
        with pytest.raises(WrongContent, match="more than 6 bytes"):
            part.write(b"lo\n\n")

    assert path.stat().st_size == 0


def test_what_is_too_long_already_is_thrown_away(path):
    """Such as a partial file of another file's."""
    path.write_bytes(b"hello\nhello\n")

    with open_part(path) as part:
        assert part.missing_bytes == 6

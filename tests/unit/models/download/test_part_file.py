"""A file that arrives piece by piece counts only when it is whole and on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vllm_pkg.models.download import part_file
from vllm_pkg.models.download.listing import RemoteFile
from vllm_pkg.models.download.part_file import PartFile, WrongContent
from vllm_pkg.models.download.sync_record import SyncRecord
from vllm_pkg.state import atomic

CONTENT = b"hello\n"
FILE = RemoteFile(
    "a", 6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
)


@pytest.fixture(name="path")
def path_fixture(tmp_path):
    """Where the content arrives."""
    return tmp_path / "blob.incomplete"


@pytest.fixture(name="small_steps")
def small_steps_fixture(monkeypatch):
    """Steps of two bytes."""
    monkeypatch.setattr(part_file, "SYNC_EVERY_BYTES", 2)
    return 2


def open_part(path, boot_id="boot"):
    """Open it; nobody wants to know what was read."""
    record = SyncRecord(path.with_suffix(".synced"), boot_id)
    return PartFile(path, FILE, record, lambda _size_bytes: None)


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


def test_it_syncs_now_and_then(path, small_steps, monkeypatch):
    """At the beginning and after each step, whatever arrives at once."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)

    with open_part(path) as part:
        at_first = len(synced)
        for piece in (b"h", b"e", b"l"):
            part.write(piece)

    assert (at_first, len(synced) - at_first) == (1, 1)
    assert small_steps


def test_another_boot_goes_on_with_what_was_synced(path, small_steps):
    """What came after the last step may be lost, so it is fetched again."""
    with open_part(path) as part:
        part.write(b"he")
        part.write(b"l")
    path.write_bytes(b"he\0")
    with open_part(path, "another boot") as part:
        found_bytes = part.size_bytes
        part.write(b"llo\n")
        part.finish(path.with_suffix(".blob"))

    assert found_bytes == small_steps == 2
    assert path.with_suffix(".blob").read_bytes() == CONTENT
    assert not path.with_suffix(".synced").exists()


@pytest.mark.usefixtures("small_steps")
def test_the_same_boot_goes_on_with_everything(path):
    """Who was killed has lost nothing: the system still has what was written."""
    with open_part(path) as part:
        part.write(b"he")
        part.write(b"l")
    with open_part(path) as part:
        assert part.size_bytes == 3


@pytest.mark.usefixtures("small_steps")
def test_a_boot_that_is_not_known_is_another_one(path):
    """Where the kernel gives no id, only what was synced counts."""
    for _ in range(2):
        with open_part(path, "") as part:
            found_bytes = part.size_bytes
            for piece in (b"h", b"e", b"l")[found_bytes:]:
                part.write(piece)

    assert found_bytes == 2


@pytest.mark.usefixtures("small_steps")
def test_what_others_have_begun_is_gone_on_with(path):
    """No record says nothing against it; from then on there is one."""
    path.write_bytes(b"hello")
    with open_part(path) as part:
        found_bytes = part.size_bytes
    with open_part(path, "another boot") as part:
        assert (found_bytes, part.size_bytes) == (5, 5)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("content", ["no", "[]", '{"boot_id": "boot"}'])
def test_a_damaged_record_vouches_for_nothing(path, content):
    """Then all is fetched again."""
    path.write_bytes(b"hello")
    path.with_suffix(".synced").write_text(content)

    with open_part(path) as part:
        assert part.size_bytes == 0


@pytest.mark.usefixtures("small_steps")
def test_a_record_that_cannot_be_read_ends_it(path):
    """Nothing is left open, and nothing of the file is lost."""
    path.write_bytes(b"hello")
    path.with_suffix(".synced").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(IsADirectoryError), open_part(path):
        pass

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert path.read_bytes() == b"hello"


@pytest.mark.usefixtures("small_steps")
def test_a_restart_takes_the_record_back_first(path):
    """Else the old record would vouch for the new bytes."""
    with open_part(path) as part:
        part.write(b"hell")
        part.restart()
        part.write(b"H")
    with open_part(path, "another boot") as part:
        assert part.size_bytes == 0


def test_a_small_file_has_no_record(path):
    """It is fetched again as a whole, which is less than a step."""
    with open_part(path) as part:
        part.write(b"hel")

    assert not path.with_suffix(".synced").exists()


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

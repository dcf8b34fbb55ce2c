"""JSON documents: strict reading, and setting damaged ones aside."""

from __future__ import annotations

import pytest

from vllm_pkg.errors import (
    StateCorrupt,
    StateLocked,
    StateUnreadable,
    StateWriteFailed,
)
from vllm_pkg.state import atomic, documents


def test_missing_file_is_none(tmp_path):
    """No file is not an error."""
    assert documents.read_object(tmp_path / "a.json") is None


def test_round_trip(tmp_path):
    """What is formatted is read back, text of any language included."""
    path = tmp_path / "a.json"
    path.write_bytes(documents.format_object({"a": ["ö", 1]}))

    assert documents.read_object(path) == {"a": ["ö", 1]}
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not JSON (line 1"),
        (b'{"a": ', "not JSON (line 1"),
        (b"\x00\x01\xff", "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b" " * (4 * 1024 * 1024 + 1), "larger than"),
    ],
)
def test_damaged_files_are_set_aside(tmp_path, content, what):
    """A damaged file is renamed with its content, and the error says where and why."""
    path = tmp_path / "a.json"
    path.write_bytes(content)

    with pytest.raises(StateCorrupt) as caught:
        documents.read_object(path)

    assert what in caught.value.message
    assert "a.json.corrupt-1" in caught.value.message
    assert not path.exists()
    assert (tmp_path / "a.json.corrupt-1").read_bytes() == content


def test_each_damaged_file_is_kept(tmp_path):
    """A second damaged file does not overwrite the first that was set aside."""
    path = tmp_path / "a.json"
    for content in ("one", "two"):
        path.write_text(content)
        with pytest.raises(StateCorrupt):
            documents.read_object(path)

    assert (tmp_path / "a.json.corrupt-1").read_text() == "one"
    assert (tmp_path / "a.json.corrupt-2").read_text() == "two"


def test_unreadable_files_stay(tmp_path):
    """What cannot be read is reported and left where it is."""
    path = tmp_path / "a.json"
    path.mkdir()

    with pytest.raises(StateUnreadable, match="Is a directory"):
        documents.read_object(path)

    assert path.is_dir()


def test_a_file_that_has_changed_since_stays(tmp_path):
    """A damaged file that somebody has repaired meanwhile is not set aside."""
    path = tmp_path / "a.json"
    path.write_text("{}")

    error = documents.set_aside(path, "it is not JSON", b"{")

    assert isinstance(error, StateLocked)
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_failed_move_leaves_no_empty_file(tmp_path, monkeypatch, is_moved):
    """What could not be set aside is told; only a real copy keeps its name."""
    path = tmp_path / "a.json"
    path.write_text("{")

    def fail(source, target):
        if is_moved:
            source.replace(target)
        raise StateWriteFailed("no")

    monkeypatch.setattr(atomic, "move_file", fail)
    with pytest.raises(StateCorrupt, match="could not be set aside: no"):
        documents.read_object(path)

    kept = "a.json.corrupt-1" if is_moved else "a.json"
    assert [item.name for item in tmp_path.iterdir()] == [kept]
    assert (tmp_path / kept).read_text() == "{"


def test_half_a_surrogate_pair_is_kept(tmp_path):
    """Text that is no UTF-8 survives in the form in which JSON can hold it."""
    path = tmp_path / "a.json"
    path.write_bytes(documents.format_object({"a": "\ud800ö"}))

    assert documents.read_object(path) == {"a": "\ud800ö"}
    assert b"\\ud800\\u00f6" in path.read_bytes()

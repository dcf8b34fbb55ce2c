"""JSON documents: strict reading, and setting damaged ones aside."""

from __future__ import annotations

import pytest

from vllm_pkg.errors import StateCorrupt, StateUnreadable
from vllm_pkg.state import documents


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

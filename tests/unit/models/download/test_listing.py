"""What the Hub lists, and what the program that transfers is told and tells."""

from __future__ import annotations

import json

import pytest

from vllm_pkg.models.download.listing import (
    Listing,
    RemoteFile,
    parse_file,
    parse_index,
    parse_listing,
)
from vllm_pkg.models.download.messages import (
    Request,
    Told,
    parse_request,
    parse_told,
)
from vllm_pkg.models.download.retry import Cause, Failure

SHA1, SHA256 = "a" * 40, "b" * 64
PLAIN = RemoteFile("config.json", 3, SHA1)
LARGE = RemoteFile("deep/model.safetensors", 9, SHA256, "c" * 64)
LISTING = Listing("org/name", SHA1, (PLAIN, LARGE), frozenset({"config.json"}))


def test_a_listing_survives_being_kept():
    """What is written is what is read."""
    assert parse_listing(json.dumps(LISTING.as_json()).encode()) == LISTING


def test_what_a_listing_answers():
    """Sizes by name, files in the order that was asked for, unknown names left out."""
    assert LISTING.sizes_bytes == {"config.json": 3, "deep/model.safetensors": 9}
    assert LISTING.select(("deep/model.safetensors", "x", "config.json")) == (
        LARGE,
        PLAIN,
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 2}',
        b'{"version": 1}',
        b'{"version": 1, "files":',
    ],
)
def test_a_damaged_listing_is_none(data):
    """It is made again; nothing breaks."""
    assert parse_listing(data) is None


@pytest.mark.parametrize(
    ("name", "etag"),
    [
        ("/etc/passwd", SHA1),
        ("../x", SHA1),
        ("a/../../x", SHA1),
        ("", SHA1),
        ("x", "../../x"),
        ("x", "A" * 40),
        ("x", "a" * 41),
    ],
)
def test_a_name_cannot_leave_the_cache(name, etag):
    """What a Hub says becomes part of a path only when it is harmless."""
    with pytest.raises(ValueError, match="not "):
        parse_file({"name": name, "size_bytes": 1, "etag": etag})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b'{"weight_map": {"a": "1.bin", "b": "2.bin", "c": "1.bin"}}',
            {"1.bin", "2.bin"},
        ),
        (b'{"weight_map": {}}', None),
        (b'{"weight_map": []}', None),
        (b"{}", None),
        (b"[]", None),
        (b"no", None),
    ],
)
def test_an_index_names_files(data, expected):
    """An empty or damaged index is no index."""
    assert parse_index(data) == expected


def test_a_request_arrives_as_it_was_sent():
    """Files and names included."""
    request = Request("/c", "o/n", "main", True, ("a",), (PLAIN, LARGE), "t", 4, 3.0, 7)  # noqa: FBT003

    assert parse_request(request.as_line()) == request


@pytest.mark.parametrize(
    "told",
    [
        Told(is_end=True),
        Told(checked_bytes=5),
        Told(listing=Listing("org/name", SHA1, (PLAIN, LARGE))),
        Told(failure=Failure(Cause.GATED, "no", 3.0, "config.json", 403)),
    ],
)
def test_a_line_arrives_as_it_was_told(told):
    """Each kind of line comes through."""
    assert parse_told(told.as_line().encode()) == told

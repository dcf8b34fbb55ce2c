"""Hashes, safetensors headers, and what errors of libraries mean."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.models.download.hashing import digest_for, hash_file, header_problem
from vllm_pkg.models.download.part_file import WrongContent
from vllm_pkg.models.download.retry import Cause
from vllm_pkg.models.download.worker_errors import (
    TooShort,
    XetFailed,
    describe_failure,
)
from vllm_pkg.models.tiny import tiny_files

# Of the content "hello\n": `git hash-object` and `sha256sum`.
GIT_HASH = "ce013625030ba8dba906f756967f9e9ca394464a"
MIB_BYTES = 2**20
SHA256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"


@pytest.mark.parametrize("etag", [GIT_HASH, SHA256])
def test_content_has_the_hash_that_the_hub_names(tmp_path, etag):
    """Small files have Git's hash and large ones their SHA-256."""
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    read: list[int] = []

    digest = digest_for(etag, 6)
    hash_file(path, digest, read.append)

    assert digest.hexdigest() == etag
    assert read == [6]


def header(document, body=b""):
    """Return a file with that header."""
    text = json.dumps(document).encode()
    return len(text).to_bytes(8, "little") + text + body


TENSOR = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (header({"a": TENSOR}, b"1234"), None),
        (header({"__metadata__": {"x": "y"}}), None),
        (header({"a": TENSOR}, b"123"), "bytes instead of"),
        (header({"a": TENSOR}, b"12345"), "bytes instead of"),
        (b"\xff" * 8 + b"{}", "header is longer"),
        (b"", "header is longer"),
        (b"\x02" + bytes(7) + b"no", "header is damaged"),
        (header([]), "header is damaged"),
        (header({"a": {}}), "header is damaged"),
    ],
)
def test_headers_of_safetensors(tmp_path, content, problem):
    """A whole file has none of these problems; each damage has one."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)

    found = header_problem(path)

    assert (found is None) is (problem is None)
    assert (problem or "") in (found or "")


def test_real_weights_have_no_problem(tmp_path):
    """The tiny model's own file passes, and a missing one does not."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(tiny_files()["model.safetensors"])

    assert header_problem(path) is None
    assert header_problem(tmp_path / "none") == (
        "it cannot be read: No such file or directory"
    )


class HTTPError(Exception):
    """As both HTTP libraries of huggingface_hub name it."""


class ConnectError(HTTPError):
    """One of its kinds."""


class HFValidationError(ValueError):
    """As huggingface_hub names it."""


class Answer:
    """The part of an HTTP answer that matters."""

    def __init__(self, status_code, headers):
        self.status_code = status_code
        self.headers = headers


def refused(name, status, **headers):
    """Return an error of huggingface_hub."""
    error = type(name, (Exception,), {})("said")
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    error.response = Answer(status, named)
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectError("refused"), Cause.NETWORK),
        (HFValidationError("bad"), Cause.NOT_FOUND),
        (StateWriteFailed("cannot rename"), Cause.DISK),
        (WrongContent("hash"), Cause.CORRUPT),
        (TooShort("early"), Cause.NETWORK),
        (XetFailed("cas"), Cause.XET),
        (OSError(errno.ENOSPC, "x"), Cause.DISK_FULL),
        (OSError(errno.EDQUOT, "x"), Cause.DISK_FULL),
        (PermissionError(errno.EACCES, "x", "/models"), Cause.DISK),
        (OSError(errno.EIO, "x"), Cause.DISK),
        (KeyError("x"), Cause.UNEXPECTED),
        (refused("GatedRepoError", 403), Cause.GATED),
        (refused("RepositoryNotFoundError", 401), Cause.HIDDEN),
        (refused("RepositoryNotFoundError", 404), Cause.NOT_FOUND),
        (refused("RevisionNotFoundError", 404), Cause.REVISION),
        (refused("RemoteEntryNotFoundError", 404), Cause.NO_FILE),
        (refused("HfHubHTTPError", 403), Cause.REFUSED),
        (refused("HfHubHTTPError", 418), Cause.REFUSED),
        (refused("HfHubHTTPError", 408), Cause.SERVER),
        (refused("HfHubHTTPError", 502), Cause.SERVER),
        (refused("HfHubHTTPError", 416), Cause.LENGTH),
        (refused("HfHubHTTPError", 429), Cause.RATE_LIMITED),
        (
            refused(
                "HfHubHTTPError",
                401,
                X_Error_Message="Invalid credentials in Authorization header",
            ),
            Cause.TOKEN,
        ),
    ],
)
def test_what_an_error_means(error, cause):
    """Each class of error of the libraries and of the system has its cause."""
    failure = describe_failure(error, "a.bin")

    assert (failure.cause, failure.file) == (cause, "a.bin")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({}, None),
    ],
)
def test_how_long_the_hub_asks_to_wait(headers, expected):
    """Both headers count, the Hub's own only when nothing is left."""
    failure = describe_failure(refused("HfHubHTTPError", 429, **headers))

    assert failure.retry_after_s == expected


def test_a_message_names_the_place():
    """People see which folder cannot be written."""
    failure = describe_failure(PermissionError(errno.EACCES, "x", "/models"))

    assert failure.message == "Permission denied (/models)"


def test_a_record_that_finds_no_room_is_a_full_disk():
    """What a durable write says is classed by the reason under it."""
    error = StateWriteFailed("cannot write x")
    error.__cause__ = OSError(errno.ENOSPC, "x")

    assert describe_failure(error).cause is Cause.DISK_FULL


def test_the_hashes_of_this_test_are_right():
    """The figures above are those of the content."""
    assert hashlib.sha256(b"hello\n").hexdigest() == SHA256


def test_a_quick_check_reads_headers_only(tmp_path):
    """Of a terabyte of weights less than a mebibyte is read; a hash reads all of it."""
    weights, small = tmp_path / "weights", tmp_path / "small"
    size_bytes = 2**40
    tensor = TENSOR | {"shape": [size_bytes], "data_offsets": [0, size_bytes]}
    # Nothing of it is on the disk: the content is a hole.
    weights.write_bytes(header({"a": tensor}))
    os.truncate(weights, weights.stat().st_size + size_bytes)
    small.write_bytes(bytes(2 * MIB_BYTES))

    assert read_bytes(lambda: header_problem(weights)) < MIB_BYTES
    hashed = read_bytes(lambda: hash_file(small, hashlib.sha256(), lambda _: None))
    assert hashed >= small.stat().st_size


def read_bytes(call):
    """Return how many bytes this process has read while it was called."""

    def count():
        lines = Path("/proc/self/io").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if "rchar" in line))

    before = count()
    assert call() is None
    return count() - before

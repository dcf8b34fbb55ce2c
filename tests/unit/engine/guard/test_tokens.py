"""The key in a request's headers: one, of the right scheme, and as bytes."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.guard.tokens import (
    TOKEN_MAX_BYTES,
    bearer_header,
    read_token,
    with_engine_key,
)

AUTH = b"authorization"
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    "value",
    [b"Bearer secret", b"bearer secret", b"BEARER secret", b"bEaReR   secret "],
)
def test_a_bearer_key_is_read(value):
    """The scheme's case and the number of spaces do not matter."""
    assert read_token([(b"host", b"h"), (AUTH, value)], CHAT) == b"secret"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"h")],
        [(AUTH, b"")],
        [(AUTH, b"Bearer")],
        [(AUTH, b"Bearer ")],
        [(AUTH, b"Bearer    ")],
        [(AUTH, b" Bearer secret")],
        [(AUTH, b"Bearer\tsecret")],
        [(AUTH, b"Basic secret")],
        [(AUTH, b"secret")],
        [(AUTH, b"Bearersecret")],
        [(AUTH, "Beärer secret".encode())],
        [(AUTH, b"Bearer secret"), (AUTH, b"Bearer secret")],
        [(AUTH, b"Bearer secret"), (AUTH, b"Basic x")],
        [(AUTH, b"Bearer " + b"x" * (TOKEN_MAX_BYTES + 1))],
        [(AUTH, b"Bearer " + b"x" * 1024 * 1024)],
        [(b"x-api-key", b"secret")],
        [(b"proxy-authorization", b"Bearer secret")],
        [(b"cookie", b"authorization=Bearer secret")],
    ],
)
def test_anything_else_is_no_key(headers):
    """Missing, empty, doubled, too long, or of another scheme: no key."""
    assert read_token(headers, CHAT) is None


@pytest.mark.parametrize("token", [b"\xff\xfe", "schlüssel".encode(), b"\0", b"a b"])
def test_any_bytes_are_a_key_to_compare(token):
    """What is no text is compared like every other wrong key."""
    assert read_token([(AUTH, b"Bearer " + token)], CHAT) == token


def test_the_longest_possible_key_is_read():
    """A key of as many bytes as one may have is not too long."""
    token = b"x" * 256
    assert read_token([(AUTH, b"Bearer " + token)], CHAT) == token


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/render"]
)
def test_clients_of_anthropics_api_are_understood(path):
    """On the paths of that API its header counts, unless there is a bearer too."""
    other = (b"x-api-key", b"other")
    assert read_token([other], path) == b"other"
    assert read_token([other, other], path) is None
    assert read_token([(b"x-api-key", b"")], path) is None
    assert read_token([other, (AUTH, b"Bearer secret")], path) == b"secret"
    assert read_token([other, (AUTH, b"Basic x")], path) is None


def test_the_engine_sees_its_own_key_only():
    """Every credential of the client is taken out and the engine's own put in."""
    headers = [
        (b"host", b"h"),
        (AUTH, b"Bearer secret"),
        (b"x-api-key", b"secret"),
        (b"accept", b"*/*"),
    ]
    assert with_engine_key(headers, bearer_header("EngineKey")) == [
        (b"host", b"h"),
        (b"accept", b"*/*"),
        (AUTH, b"Bearer EngineKey"),
    ]
    assert len(headers) == 4

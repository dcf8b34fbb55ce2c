"""What a request may carry."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_pkg.portal.api.bodies import (
    BODY_MAX_BYTES,
    DEPTH_MAX,
    BodyGuard,
    BodyRefused,
    check_json,
)

# Half a surrogate pair is no text, and is tried on its own.
TEXT = st.text(st.characters(codec="utf-8"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXT
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=9
)


def nested(depth: int) -> bytes:
    """Return lists within lists."""
    return b"[" * depth + b"]" * depth


@settings(deadline=None)
@given(DOCUMENTS)
def test_json_documents_pass(value):
    """Whatever JSON can say is accepted."""
    check_json(json.dumps(value).encode())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_other_bytes_are_refused_and_never_an_accident(data):
    """What is not accepted is refused with a reason, and what is accepted is JSON."""
    refusals = []
    try:
        check_json(data)
        json.loads(data)
    except BodyRefused as error:
        refusals.append(str(error))

    assert all(refusals)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not Unicode"),
        (b'"\\udc00"', "not Unicode"),
        (b"NaN", "NaN is no JSON value"),
        (b"[-Infinity]", "-Infinity is no JSON value"),
        (b"1e999", "too large"),
        (b"1" * 5000, "too long"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (nested(DEPTH_MAX + 1), "deeper than"),
        (nested(100_000), "too deeply"),
    ],
)
def test_each_refusal_says_why(body, why):
    """Somebody who made a mistake can find it."""
    with pytest.raises(BodyRefused, match=why):
        check_json(body)


def test_the_deepest_that_is_allowed_passes():
    """The limit itself is accepted."""
    check_json(nested(DEPTH_MAX))
    check_json(b'{"a": {"b": [1, 2.5, null, "\xc3\xa9"]}}')


async def _run(method, chunks, content_type=b"application/json"):
    """Send a body through the guard; return what came out and what went in."""
    seen: list[bytes] = []
    sent: list[dict[str, object]] = []
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ] + [{"type": "http.disconnect"}]

    async def inside(scope, receive, send):
        del scope
        message = await receive()
        seen.append(message.get("body", b""))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "headers": [(b"content-type", content_type)],
    }
    await BodyGuard(inside)(scope, receive, send)
    return sent[0]["status"], seen


@pytest.mark.parametrize(
    ("method", "chunks", "content_type", "status"),
    [
        ("POST", [b"{", b"}"], b"application/json", 200),
        ("POST", [b"{}"], b"Application/JSON; charset=utf-8", 200),
        ("POST", [b""], b"text/plain", 200),
        ("GET", [b"{"], b"text/plain", 200),
        ("POST", [b"{}"], b"text/plain", 415),
        ("POST", [b"{"], b"application/json", 400),
        ("PUT", [b" " * BODY_MAX_BYTES, b"{}"], b"application/json", 413),
    ],
)
def test_the_guard_hands_on_what_is_well(run, method, chunks, content_type, status):
    """The application behind it gets the whole body, or nothing at all."""
    found, seen = run(_run(method, chunks, content_type))

    assert found == status
    assert seen == ([b"".join(chunks)] if status == 200 else [])


def test_a_client_that_leaves_within_its_body_is_not_waited_for(run):
    """What it sent so far is no document."""
    status, seen = run(_run("POST", [], b"application/json"))

    assert status == 200
    assert seen == [b""]

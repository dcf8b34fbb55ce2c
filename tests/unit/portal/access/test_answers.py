"""What the guard answers itself, and the headers of every answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from vllm_pkg.portal.access import answers
from vllm_pkg.portal.access.asked import Asked
from vllm_pkg.portal.access.headers import secured, styled_policy
from vllm_pkg.portal.access.rules import Verdict

STATIC = "/_nicegui/3.18.0/static/nicegui.js"
LINK = {
    "sec-fetch-mode": ("navigate",),
    "sec-fetch-dest": ("document",),
    "sec-fetch-site": ("cross-site",),
}


def asked(path="/", *, is_websocket=False, **headers):
    """Return a request."""
    given = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return Asked(is_websocket, "GET", path, "http", given)


def send(scope, answer):
    """Return the messages of an answer."""
    sent = []

    async def take(message):
        sent.append(message)

    asyncio.run(answers.send_answer({"path": "/", **scope}, take, answer, "n"))
    return sent


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.MISSING, 401),
        (Verdict.WRONG, 401),
        (Verdict.LIMITED, 429),
        (Verdict.FOREIGN, 403),
        (Verdict.NOT_JSON, 415),
        (Verdict.NOT_A_FORM, 415),
    ],
)
def test_each_refusal_has_its_status_and_the_one_shape(verdict, status):
    """A program learns code, message and hint."""
    answer = answers.refusal(asked(), verdict, 7)
    error = json.loads(answer.body)["error"]

    assert answer.status == status
    assert set(error) == {"code", "message", "hint"}
    assert ((b"retry-after", b"7") in answer.headers) == (status == 429)


def test_a_person_is_led_to_the_login_or_back():
    """By a link from elsewhere the browser asks again; the API never leads."""
    page = asked("/logs", accept="text/html")
    link = Asked(False, "GET", "/logs", "http", LINK)  # noqa: FBT003
    found = [
        answers.refusal(one, Verdict.MISSING, 0)
        for one in (page, link, asked("/api/x", accept="text/html"))
    ]

    assert [answer.status for answer in found] == [303, 401, 401]
    assert b'http-equiv="refresh"' in found[1].body
    assert b"missing-token" in found[2].body
    both = asked(is_websocket=True, accept="text/html")
    assert answers.refusal(both, Verdict.MISSING, 0).status == 401


def test_a_websocket_is_refused_with_an_answer_or_closed():
    """Where the server cannot send an answer, closing it is one."""
    extensions: dict[str, dict[str, str]] = {answers.HTTP_RESPONSE_EXTENSION: {}}
    scope = {"type": "websocket", "extensions": extensions}

    types = [message["type"] for message in send(scope, answers.WRONG_HOST)]
    closed = send({"type": "websocket"}, answers.WRONG_HOST)

    assert types == ["websocket.http.response.start", "websocket.http.response.body"]
    assert closed == [{"type": "websocket.close", "code": 1008}]
    (start, body) = send({"type": "http"}, answers.WRONG_HOST)
    assert start["status"] == 421
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()


def test_pages_get_a_nonce_and_the_rest_may_load_nothing():
    """The rule about what a page loads follows from what the answer is."""
    html = [(b"Content-Type", b"text/html; charset=utf-8")]
    page = dict(secured("/", 200, html, "abc"))[b"content-security-policy"]
    rest = dict(secured("/", 200, [], "abc"))[b"content-security-policy"]

    assert b"'nonce-abc'" in page
    assert b"script-src 'self' 'unsafe-eval'" in page
    assert b"'unsafe-inline'" not in page.partition(b"style-src")[0]
    assert rest == b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def test_an_answer_may_bring_its_own_policies_and_no_others():
    """The login has a policy of its own; nobody lifts the others, or sets one twice."""
    given = [
        (b"content-security-policy", b"own"),
        (b"referrer-policy", b"no-referrer"),
        (b"X-Frame-Options", b"ALLOWALL"),
        (b"cache-control", b"public"),
    ]
    found = secured("/", 200, given, "n")
    values = dict(found)

    assert len(found) == len(values)
    assert values[b"content-security-policy"] == b"own"
    assert values[b"referrer-policy"] == b"no-referrer"
    assert values[b"x-frame-options"] == b"DENY"
    assert values[b"cache-control"] == b"no-store"


def test_no_answer_allows_another_site_anything():
    """What a library says of other sites is not passed on."""
    given = [
        (b"Access-Control-Allow-Origin", b"http://evil.example"),
        (b"access-control-allow-credentials", b"true"),
        (b"allow", b"GET"),
    ]

    assert not [
        name for name, _ in secured("/", 200, given, "n") if b"access-control" in name
    ]
    assert (b"allow", b"GET") in secured("/", 200, given, "n")


@pytest.mark.parametrize(
    ("path", "status", "kept"),
    [
        (STATIC, 200, True),
        ("/portal-static/portal.css", 200, True),
        (STATIC, 404, False),
        ("/_nicegui/3.18.0/dynamic_resources/x", 200, False),
        ("/", 200, False),
    ],
)
def test_only_own_files_may_be_kept(path, status, kept):
    """Whatever may hold state is stored nowhere."""
    found = dict(secured(path, status, [(b"cache-control", b"max-age=9")], "n"))

    assert (found[b"cache-control"] == b"max-age=9") == kept


def test_a_style_is_allowed_by_its_hash():
    """The hash is that of the text between the tags."""
    assert "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='" in styled_policy("")

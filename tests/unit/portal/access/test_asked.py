"""What the guard reads out of a request."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.access.asked import read_asked


def asked(*headers, kind="http", **more):
    """Return what a scope with these headers asks for."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return read_asked({"type": kind, "path": "/x", "headers": raw, **more})


def test_a_handshake_is_a_get_of_its_scheme():
    """A websocket over TLS counts as https, as its Origin says."""
    found = asked(kind="websocket", scheme="wss")

    assert (found.is_websocket, found.method, found.scheme) == (True, "GET", "https")
    assert asked(method="POST", scheme="http").scheme == "http"


def test_a_header_that_comes_twice_is_no_value():
    """Twice is neither of the two; once is without the space around it."""
    found = asked(("origin", " a "), ("x", "1"), ("X", "2"))

    assert found.only("origin") == "a"
    assert found.only("x") not in {"1", "2", None}
    assert found.values("x") == ("1", "2")
    assert found.only("none") is None


def test_cookies_are_found_by_their_whole_name():
    """Names that only begin alike are others; at most four are looked at."""
    header = ("cookie", "a=1; ab=2;a=3 ; b; =c")
    many = asked(*[("cookie", f"a={n}") for n in range(9)])

    assert asked(header).cookies("a") == ("1", "3")
    assert asked(header).has_cookies
    assert many.cookies("a") == ("0", "1", "2", "3")
    assert not asked().has_cookies


def test_bearers_are_those_of_our_scheme():
    """The password of a proxy is no token; the scheme knows no case."""
    found = asked(
        ("authorization", "Basic abc"),
        ("authorization", "bearer  t "),
        ("authorization", "Bearer"),
    )

    assert found.bearers == ("t", "")


@pytest.mark.parametrize(
    ("headers", "is_navigation"),
    [
        ([("sec-fetch-mode", "navigate")], True),
        ([("sec-fetch-mode", "cors"), ("accept", "text/html")], False),
        ([("accept", "application/json")], False),
        ([("accept", "a/b, Text/HTML;q=1")], True),
        ([], False),
    ],
)
def test_a_navigation_is_told_from_a_fetch(headers, is_navigation):
    """Browsers say it; of others the accepted type tells."""
    assert asked(*headers).is_navigation == is_navigation

"""T26: what a page elsewhere makes a browser send changes nothing and opens nothing."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from support.portal_fixture import portal_fixture
from support.portal_server import PortalServer
from vllm_pkg.state.portal_token import rotate_portal_token

__all__ = ["portal_fixture"]

pytestmark = [pytest.mark.security, pytest.mark.timeout(240)]

# There is nothing at this address: what is let in is answered with 404 or 405.
API = "/api/v1/t26"
WEBSOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
METHODS = ["GET", "POST", "DELETE"]
SITES = [None, "same-origin", "none", "same-site", "cross-site", "Same-Origin"]
ORIGINS = [None, "own", "null", "http://evil.example", "http://127.0.0.1:1"]
TYPES = ["application/json", "text/plain"]
CREDENTIALS = ["cookie", "bearer", "both", "none"]

# The table, apart from the code: which pairs of Sec-Fetch-Site and Origin are our own
# page's or a person's, for what changes something and for what does not.
OWN_CHANGES = {
    (None, "own"),
    ("same-origin", None),
    ("same-origin", "own"),
    ("none", None),
    ("none", "own"),
}
OWN_READS = {*OWN_CHANGES, (None, None)}
REFUSED = {401, 403, 415}


def _expected(method, site, origin, content_type, credentials):
    """Return the status of a refusal, or None for what is let in."""
    is_change = method not in {"GET", "HEAD"}
    if credentials == "none":
        return 401
    if credentials == "bearer":
        return None
    if (site, origin) not in (OWN_CHANGES if is_change else OWN_READS):
        return 403
    return 415 if is_change and content_type != "application/json" else None


def _headers(portal, site, origin, content_type, credentials):
    given = {
        "Sec-Fetch-Site": site,
        "Origin": portal.origin if origin == "own" else origin,
        "Content-Type": content_type,
        "Cookie": portal.session if credentials in {"cookie", "both"} else None,
        "Authorization": portal.bearer()[1]
        if credentials in {"bearer", "both"}
        else None,
    }
    return [(name, value) for name, value in given.items() if value is not None]


def test_t26_requests_match_the_table(portal, guarantee):
    """T26: each combination is refused or let in as the table says."""
    rows = list(itertools.product(METHODS, SITES, ORIGINS, TYPES, CREDENTIALS))
    wrong = {}
    for method, *facts in rows:
        status = portal.ask(method, API, _headers(portal, *facts)).status
        refused = status if status in REFUSED else None
        if refused != _expected(method, *facts) or status >= 500:
            wrong[method, *facts] = status
    guarantee(
        "T26",
        "What a browser sends on behalf of another site is refused",
        tried=len(rows),
        violations=len(wrong),
        unit="requests: method, Sec-Fetch-Site, Origin, content type, credentials",
        control="in the same table the portal's own pages, and programs, are let in",
    )

    assert len(rows) >= 300
    assert wrong == {}


def test_t26_websockets_match_the_table(portal, guarantee):
    """T26: a page elsewhere opens no websocket, whatever its browser sends along."""
    rows = list(itertools.product(SITES, ORIGINS, CREDENTIALS))
    wrong = {}
    for site, origin, credentials in rows:
        headers = _headers(portal, site, origin, None, credentials)
        status = portal.handshake(WEBSOCKET, headers).status
        expected = {"none": 401, "bearer": 101}.get(
            credentials, 101 if (site, origin) in OWN_CHANGES else 403
        )
        if status != expected:
            wrong[site, origin, credentials] = status
    guarantee(
        "T26",
        "A page of another site opens no websocket",
        tried=len(rows),
        violations=len(wrong),
        unit="handshakes",
        control="the portal's own pages open it",
    )

    assert wrong == {}


# Mode, destination, and whether a page elsewhere may make a browser ask for this page.
FOLLOWED = [
    ("navigate", "document", True),
    ("navigate", "iframe", False),
    ("navigate", "object", False),
    ("no-cors", "image", False),
    ("no-cors", "script", False),
    ("cors", "empty", False),
    (None, None, False),
]


@pytest.mark.parametrize(("mode", "destination", "is_let_in"), FOLLOWED)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_t26_a_link_is_followed_and_nothing_is_embedded(
    portal, site, mode, destination, is_let_in
):
    """T26: a person may come by a link; a frame, a script or a picture may not."""
    headers = [("Cookie", portal.session), ("Sec-Fetch-Site", site)]
    if mode is not None:
        headers += [("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", destination)]

    status = portal.ask("GET", "/", headers).status

    assert status == (200 if is_let_in else 403)


LOGINS = [
    ({"Origin": "own"}, 303),
    ({"Sec-Fetch-Site": "same-origin"}, 303),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "own"}, 303),
    ({}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site", "Origin": "own"}, 403),
    ({"Origin": "own", "Content-Type": "text/plain"}, 415),
    ({"Origin": "own", "Content-Type": "application/json"}, 415),
]


@pytest.mark.parametrize(("given", "expected"), LOGINS)
def test_t26_the_login_form_works_from_its_page_only(portal, given, expected):
    """T26: with the right token too, the form of another page logs nobody in."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | given
    if headers.get("Origin") == "own":
        headers["Origin"] = portal.origin
    body = f"token={portal.token}".encode()

    answer = portal.ask("POST", "/login", list(headers.items()), body)

    assert answer.status == expected
    assert bool(answer.values("set-cookie")) == (expected == 303)


def _digest(portal) -> str:
    total = hashlib.sha256()
    for volume in (portal.settings.main, portal.settings.public):
        for path in sorted(volume.rglob("*")):
            parts = path.relative_to(portal.folder).parts
            # What runs and what it says is no state.
            if path.is_file() and not {"run", "logs"} & set(parts):
                total.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def test_t26_no_get_changes_the_state(portal, guarantee):
    """T26: whoever gets every address of the portal leaves its state as it was."""
    targets = {one["path"] for one in portal.routes() if "GET" in one["methods"]}
    # Of the first, 503 is an answer and no failure: no model is selected.
    targets |= {"/healthz?always=200", "/login", "/logout", "/api/v1/status?x=1"}
    targets |= {"/none"}
    session = portal.session
    before = _digest(portal)
    statuses = [portal.ask("GET", one, [("Cookie", session)]).status for one in targets]
    after = _digest(portal)
    rotate_portal_token(portal.settings)
    guarantee(
        "T26",
        "No GET of the portal changes its state",
        tried=len(targets),
        violations=int(before != after),
        unit="addresses",
        control="the digest of the state changes when the token is rotated",
    )
    vars(portal).pop("session")

    assert before == after
    assert _digest(portal) != after
    assert 200 in statuses
    assert max(statuses) < 500


MALFORMED = [
    *("/%", "/%zz", "/%00", "/%ff%fe", "/" + "a" * 60_000, "//", "/..//..", "/\\"),
    *("/login?token", "/login?token=", "/login?token=%ff%00", "/login?&&&===;;"),
    *("/login?token=a&token=b", "/login?" + "token=x&" * 5000, "/?\xff\xfe"),
]
HEADERS = [
    *(
        ("Cookie", "="),
        ("Cookie", ";;;"),
        ("Cookie", "\xff\xfe"),
        ("Cookie", "a" * 9000),
    ),
    *(("Cookie", "S="), ("Cookie", "S=a.b.c"), ("Cookie", "S=" + "A" * 5000)),
    *(("Cookie", "S=\xff.\xff.\xff"), ("Cookie", "S=" + "." * 200)),
    *(
        ("Cookie", "S=IiI.AAAA.AAAA"),
        ("Authorization", ""),
        ("Authorization", "Bearer"),
    ),
    *(("Authorization", "\xff\xfe"), ("Origin", "\xff"), ("Origin", "a" * 9000)),
    *(("Sec-Fetch-Site", ""), ("Sec-Fetch-Mode", "\xff"), ("Accept", "\xff" * 50)),
    *(("Accept-Language", "zz-\xff,;;q=,*"), ("Accept-Language", "x" * 5000)),
    *(("Accept-Language", "de-" * 900), ("X-Forwarded-Prefix", '"><script>')),
    *(("Content-Type", "\xff"), ("Content-Length", "-1"), ("Content-Length", "x")),
    *(("Transfer-Encoding", "nonsense"), ("Connection", "\xff"), ("Upgrade", "\xff")),
]


# A portal that takes every header for ASCII.
MUTANT = """
import vllm_pkg.portal.access.guard as guard
from vllm_pkg.portal.program import main

right = guard.read_asked


def strict(scope):
    for _, value in scope["headers"]:
        value.decode("ascii")
    return right(scope)


guard.read_asked = strict
main()
"""


def _malformed_statuses(portal) -> dict[object, int]:
    name = portal.session.partition("=")[0]
    statuses: dict[object, int] = {}
    for target in MALFORMED:
        for cookie in ([], [("Cookie", portal.session)]):
            statuses[target[:40], bool(cookie)] = portal.ask(
                "GET", target, cookie
            ).status
    for header, value in HEADERS:
        value = value.replace("S=", f"{name}=")  # noqa: PLW2901
        for method, path in (("GET", "/"), ("GET", "/login"), ("POST", "/login")):
            answer = portal.ask(method, path, [(header, value)])
            statuses[header, value[:40], method, path] = answer.status
    raw = [
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\xff" * 9,
    ]
    statuses |= {data: portal.send(data + b"\r\n\r\n").status for data in raw}
    return statuses


def _faults(statuses):
    return {key: status for key, status in statuses.items() if status >= 500}


def test_t26_malformed_input_is_no_fault_of_the_server(portal, tmp_path, guarantee):
    """T26: whatever is sent, nobody gets a 5xx."""
    statuses = _malformed_statuses(portal)
    faults = _faults(statuses)
    with PortalServer(tmp_path / "mutant", program=("-c", MUTANT)) as mutant:
        found = _faults(_malformed_statuses(mutant))
    guarantee(
        "T26",
        "Malformed requests are never a fault of the server",
        tried=len(statuses),
        violations=len(faults),
        unit="requests",
        control=f"of a portal that takes every header for ASCII {len(found)} are found",
    )

    assert faults == {}
    assert portal.ask("GET", "/login").status == 200
    assert "Traceback" not in portal.output.read_text()
    assert {key[0] for key in found} >= {"Cookie", "Authorization", "Accept-Language"}
    assert "Traceback" in mutant.output.read_text()

"""T27: every route of the portal is closed but those of an explicit list."""

from __future__ import annotations

import re

import pytest
from itsdangerous import URLSafeSerializer

from support.portal_fixture import portal_fixture
from support.portal_routes import WEBSOCKET
from support.waiting import wait_until
from vllm_pkg.portal.access import rules
from vllm_pkg.portal.access.sessions import Sessions
from vllm_pkg.state.portal_token import rotate_portal_token

__all__ = ["portal_fixture"]

pytestmark = [pytest.mark.security, pytest.mark.timeout(180)]

# The explicit list, apart from the code.
PUBLIC = {
    *(("GET", "/healthz"), ("HEAD", "/healthz")),
    *(("GET", "/login"), ("HEAD", "/login"), ("POST", "/login")),
}
# Every other address that there is; one that matches none of these is not known yet,
# and whoever adds it says here what it is.
CLOSED = [
    r"/(start|models|try|logs|machine|keys|settings|gallery)?",
    r"/(actions/x|portal-static/x|logs/x/file|settings/(backup|support|token))",
    r"/(logout|openapi\.json|redoc|docs|favicon\.ico)",
    r"/docs/oauth2-redirect",
    r"/api/v1/.+",
    r"/_nicegui/.+",
    r"/_nicegui_ws/socket\.io/.*",
]


def _all_routes(portal):
    """Return method and path of all routes."""
    return sorted(
        {(method, one["path"]) for one in portal.routes() for method in one["methods"]}
        | {("GET", "/none"), ("OPTIONS", "/"), ("TRACE", "/"), ("POST", "/healthz")}
        | {("DELETE", "/login"), ("GET", "/login/"), ("GET", "/healthz/x")}
        | {("GET", "/portal-static/portal.css")}
        | {("GET", "//healthz"), ("GET", "/./login"), ("GET", "/LOGIN")}
    )


def _ask(portal, method, path, headers=()):
    if method == WEBSOCKET:
        return portal.handshake(path, [("Origin", portal.origin), *headers])
    own = [("Origin", portal.origin)] if method not in {"GET", "HEAD"} else []
    return portal.ask(method, path, [*own, *headers])


def _wrong_credentials(portal):
    """Return credentials that open nothing, by what is wrong with them."""
    name, _, value = portal.session.partition("=")
    token = portal.token
    strange = URLSafeSerializer("another key").dumps("id")
    old = Sessions(token).open()
    rotate_portal_token(portal.settings)
    vars(portal).pop("session")
    rotated = [("Authorization", f"Bearer {token}")]
    wait_until(
        lambda: portal.ask("GET", "/none", rotated).status == 401,
        *(5, "the new token counts"),
    )
    return {
        "nothing": [],
        "a wrong token": rotated,
        "an empty token": [("Authorization", "Bearer ")],
        "another scheme": [("Authorization", f"Basic {portal.token}")],
        "the token twice": [portal.bearer(), portal.bearer()],
        "the token as a cookie": [("Cookie", f"{name}={portal.token}")],
        "a cookie of the old token": [("Cookie", f"{name}={old}")],
        "the session of the old token": [("Cookie", f"{name}={value}")],
        "a cookie signed by another": [("Cookie", f"{name}={strange}")],
        "a session by another name": [("Cookie", f"vllm-pkg-session={value}")],
    }


def test_t27_everything_is_closed_but_the_list(portal, guarantee):
    """T27: without and with wrong credentials each route is 401, or leads to login."""
    routes = _all_routes(portal)
    wrong = {}
    tried = 0
    for what, headers in _wrong_credentials(portal).items():
        for method, path in routes:
            tried += 1
            answer = _ask(portal, method, path, headers)
            if answer.is_refusal == ((method, path) in PUBLIC):
                wrong[what, method, path] = answer.status
    opened = {
        (method, path): status
        for method, path in routes
        if (status := _ask(portal, method, path, [portal.bearer()]).status) == 401
    }
    guarantee(
        "T27",
        "Without the right credentials no route of the portal answers, but for the"
        " explicit list",
        tried=tried,
        violations=len(wrong),
        unit=f"requests to {len(routes)} routes, with each kind of wrong credentials",
        control="with the right token none of them is refused",
    )

    assert wrong == {}
    assert opened == {}
    assert (WEBSOCKET, "/_nicegui_ws/socket.io/?EIO=4&transport=websocket") in routes


def test_t27_no_route_is_unknown(portal):
    """T27: a route that no line of this file names has to be classified first."""
    paths = {path for one in portal.routes() if (path := one["path"])}
    known = {path for _, path in PUBLIC}
    unknown = [
        path
        for path in sorted(paths - known)
        if not any(re.fullmatch(pattern, path) for pattern in CLOSED)
    ]

    assert unknown == []
    assert not any(re.fullmatch(pattern, "/new") for pattern in CLOSED)


def test_t27_the_list_of_the_code_is_the_list():
    """T27: what the guard leaves open is exactly the list above."""
    listed = {
        (method, path) for path, names in rules.PUBLIC.items() for method in names
    }

    assert listed == PUBLIC


def test_t27_every_answer_is_protected(portal, guarantee):
    """T27, T30: refused or not, no answer is without the protecting headers."""
    name = portal.session.partition("=")[0]
    needed = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    bad = {}
    tried = 0
    for method, path in _all_routes(portal):
        if method == WEBSOCKET:
            continue
        for headers in ([], [("Cookie", portal.session)], [("Cookie", f"{name}=x")]):
            tried += 1
            answer = _ask(portal, method, path, headers)
            given = dict(answer.headers)
            is_static = path.startswith(("/_nicegui/", "/portal-static/"))
            is_kept = is_static and answer.status == 200
            is_bad = (
                any(given.get(key) != value for key, value in needed.items())
                or "frame-ancestors 'none'" not in given["content-security-policy"]
                or (given.get("cache-control") != "no-store") != is_kept
                or "server" in given
                or any(key.startswith("access-control-") for key in given)
            )
            if is_bad:
                bad[method, path, bool(headers)] = given
    guarantee(
        "T30",
        "Every answer of the portal has the headers that protect it",
        tried=tried,
        violations=len(bad),
        unit="answers",
        control="files of a version, which may be kept, are told from the rest",
    )

    assert bad == {}


def test_t27_a_page_leads_to_the_login_and_a_program_gets_json(portal):
    """T27: people see the login, programs the one shape of errors."""
    browser = [("Accept", "text/html,*/*"), ("Sec-Fetch-Mode", "navigate")]
    page = portal.ask("GET", "/logs", browser)
    program = portal.ask("GET", "/logs", has_body=True)
    api = portal.ask("GET", "/api/v1/status", browser)

    assert (page.status, page.values("location")) == (303, ["/login"])
    assert (program.status, api.status) == (401, 401)
    assert program.body.startswith(b'{"error": {"code": "missing-token", "message"')
    assert program.values("www-authenticate") == ["Bearer"]

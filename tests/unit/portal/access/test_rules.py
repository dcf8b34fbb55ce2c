"""What is let in; the whole table is that of tests/security/test_portal_csrf.py."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.access.asked import Asked
from vllm_pkg.portal.access.rules import (
    Credential,
    Verdict,
    is_public,
    judge,
    leads_back,
)

HOST = "localhost:5"
OWN = {"origin": ("http://localhost:5",)}
FOLLOWED = {"sec-fetch-mode": ("navigate",), "sec-fetch-dest": ("document",)}


def asked(method="GET", path="/api/x", *, is_websocket=False, **headers):
    """Return a request."""
    given = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return Asked(is_websocket, method, path, "http", given)


@pytest.mark.parametrize(
    ("credential", "verdict"),
    [
        (Credential.NONE, Verdict.MISSING),
        (Credential.WRONG, Verdict.WRONG),
        (Credential.LIMITED, Verdict.LIMITED),
        (Credential.SESSION, Verdict.PASS),
        (Credential.TOKEN, Verdict.PASS),
    ],
)
def test_without_credentials_nothing_passes(credential, verdict):
    """What is not public needs a session or the token."""
    assert judge(asked(), HOST, credential) is verdict


def test_public_is_a_path_with_a_method():
    """Another method, another path and a websocket are not."""
    assert is_public(asked(path="/login", method="POST"))
    assert not is_public(asked(path="/login", method="DELETE"))
    assert not is_public(asked(path="/login/"))
    assert not is_public(asked(path="/login", is_websocket=True))


@pytest.mark.parametrize(
    ("request_", "verdict"),
    [
        (asked("POST", origin="http://localhost:5"), Verdict.NOT_JSON),
        (
            asked(
                "POST", origin="http://localhost:5", content_type="Application/JSON;x"
            ),
            Verdict.PASS,
        ),
        (asked("POST", path="/_nicegui/x", origin="http://localhost:5"), Verdict.PASS),
        (asked("POST"), Verdict.FOREIGN),
        (asked("POST", sec_fetch_site="cross-site"), Verdict.FOREIGN),
        (asked(origin="http://localhost:6"), Verdict.FOREIGN),
        (asked(origin="https://localhost:5"), Verdict.FOREIGN),
        (asked(sec_fetch_site="same-site"), Verdict.FOREIGN),
        (asked(is_websocket=True), Verdict.FOREIGN),
        (asked(is_websocket=True, origin="http://localhost:5"), Verdict.PASS),
        (
            Asked(
                False,  # noqa: FBT003
                "GET",
                "/",
                "http",
                {"sec-fetch-site": ("cross-site",), **FOLLOWED},
            ),
            Verdict.PASS,
        ),
    ],
)
def test_with_a_session_the_origin_decides(request_, verdict):
    """Pages elsewhere may lead here, and do nothing else."""
    assert judge(request_, HOST, Credential.SESSION) is verdict


def test_a_program_is_exempt_only_without_a_cookie():
    """The token beside a cookie may be in the hands of a page."""
    assert judge(asked("POST"), HOST, Credential.TOKEN) is Verdict.PASS
    with_cookie = asked("POST", cookie="a=b")
    assert judge(with_cookie, HOST, Credential.TOKEN) is Verdict.FOREIGN


def test_the_login_takes_the_form_of_its_own_page():
    """Nothing but a form, and from nowhere else."""
    form = {"content_type": "application/x-www-form-urlencoded"}
    own = asked("POST", "/login", sec_fetch_site="same-origin", **form)
    other = asked("POST", "/login", sec_fetch_site="same-origin")

    assert judge(own, HOST, Credential.NONE) is Verdict.PASS
    assert judge(other, HOST, Credential.NONE) is Verdict.NOT_A_FORM
    assert judge(asked("POST", "/login", **form), HOST, Credential.NONE) is (
        Verdict.FOREIGN
    )


@pytest.mark.parametrize(
    ("method", "site", "leads"),
    [
        ("GET", "cross-site", True),
        ("POST", "cross-site", False),
        ("GET", "same-origin", False),
        ("GET", "same-site", False),
    ],
)
def test_a_browser_is_led_back_once(method, site, leads):
    """Only who comes from elsewhere asks again, and comes from here then."""
    headers = {"sec-fetch-site": (site,), **FOLLOWED}

    assert leads_back(Asked(False, method, "/", "http", headers)) == leads  # noqa: FBT003

"""T29: the token of the portal cannot be guessed, and guessing locks no one out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from support.guarantees.plugin import is_long
from support.portal_fixture import portal_fixture
from support.portal_server import PortalServer
from support.secret_rules import find_comparisons
from support.settings_factory import make_settings
from support.timings import T_MAX, leaking_find, least_t_values
from support.waiting import wait_until
from vllm_pkg.portal import access
from vllm_pkg.portal.access.gate import Gate
from vllm_pkg.state.portal_token import ensure_portal_token, rotate_portal_token

__all__ = ["portal_fixture"]

pytestmark = [pytest.mark.security, pytest.mark.timeout(180)]

FORM = ("Content-Type", "application/x-www-form-urlencoded")


def test_t29_the_rule_about_comparisons_sees_the_portal():
    """T29: what decides about the token is among the modules that the rule is about."""
    files = list(Path(access.__file__).parent.glob("*.py"))

    assert {"gate.py", "sessions.py", "login.py"} <= {path.name for path in files}
    assert [path for path in files if find_comparisons(path.read_text())] == []


def _strange(token):
    return [
        *("", " ", "\0", "\xff\xfe\xfd", "schl\xfcssel", "None", "null", "*", "%00"),
        *(token[:-1], token[1:], token.lower(), token + "x", token * 2, f'"{token}"'),
        *(token + "\0", token + "\xff", "x" * 257, "x" * 65_536, "x" * 1024 * 1024),
    ]


def test_t29_strange_tokens_are_401(portal, guarantee):
    """T29: bytes that are no text, none at all and a megabyte are just wrong tokens."""
    strange = _strange(portal.token)
    statuses = [
        portal.ask("GET", "/api/v1/x", [("Authorization", f"Bearer {one}")]).status
        for one in strange
    ]
    # Zero bytes are no header: the server does not read on.
    wrong = [
        (one[:50], status)
        for one, status in zip(strange, statuses, strict=True)
        if status != (400 if "\0" in one else 401)
    ]
    right = portal.ask("GET", "/api/v1/x", [portal.bearer()]).status
    guarantee(
        "T29",
        "Any text that is not the portal's token is answered with 401",
        tried=len(strange),
        violations=len(wrong),
        unit="strange tokens, up to a megabyte",
        control="the right token is let in",
    )

    assert wrong == []
    assert right == 404


def test_t29_guessing_is_limited_by_source(portal, guarantee):
    """T29: ten failures in a minute make a source wait; others and sessions do not."""
    here, there = "127.250.0.1", "127.250.0.2"
    session = ("Cookie", portal.session)
    bad = ("Authorization", "Bearer wrong")

    def ask(*headers, source=here, target="/api/v1/x"):
        return portal.ask("GET", target, headers, source=source)

    first = [ask(bad).status for _ in range(9)]
    first.append(ask(target="/login?token=wrong").status)
    limited = ask(bad)
    form = portal.ask(
        "POST",
        "/login",
        [FORM, ("Origin", portal.origin)],
        f"token={portal.token}".encode(),
        source=here,
    )
    page = ask(target=f"/login?token={portal.token}")
    checks = {
        "ten failures are 401": first == [401] * 10,
        "the next one is 429": limited.status == 429,
        "it says for how long": 50 <= int(limited.values("retry-after")[0]) <= 60,
        "the right token waits, too": ask(portal.bearer()).status == 429,
        "the link waits, too": (page.status, form.status) == (429, 429),
        "the page says for how long": bool(page.values("retry-after")),
        "another source does not": ask(portal.bearer(), source=there).status == 404,
        "a session does not": ask(session).status == 404,
        "a session with a wrong token does not": ask(session, bad).status == 404,
        "without a token it is 401": ask().status == 401,
    }
    guarantee(
        "T29",
        "Ten wrong tokens in a minute close the login for that source and no other",
        tried=len(checks),
        violations=list(checks.values()).count(False),
        unit="answers before, at and after the limit",
        control="before the limit the same requests are answered with 401",
    )

    assert [what for what, holds in checks.items() if not holds] == []


def test_t29_the_time_of_a_comparison_tells_nothing(tmp_path, guarantee):
    """T29: a token wrong at its first or at its last character takes the same time."""
    tried = 200_000 if is_long() else 20_000
    settings = make_settings(tmp_path)
    token = ensure_portal_token(settings)
    gate = Gate(settings)

    def ask(given: bytes) -> None:
        assert not gate.is_token(given)

    assert gate.is_token(token.encode())
    first, floor = least_t_values(ask, token, tried)
    mutant, _ = least_t_values(leaking_find(token), token, tried // 4)
    guarantee(
        "T29",
        "The time to refuse a token of the portal does not tell how much was right",
        tried=tried,
        violations=int(abs(first) >= T_MAX),
        unit=f"timings a round (Welch |t| {abs(first):.1f}, limit {T_MAX}, noise floor"
        f" {abs(floor):.1f})",
        control=f"a comparison character by character: |t| {abs(mutant):.0f}",
    )

    assert abs(mutant) > 2 * T_MAX
    assert abs(first) < T_MAX


def test_t28_a_rotated_token_ends_sessions_and_open_websockets(portal, guarantee):
    """T28: a second after the rotation neither the old token nor a session counts."""
    old = [portal.bearer(), ("Cookie", portal.session)]
    before = [portal.ask("GET", "/api/v1/x", [one]).status for one in old]
    new = rotate_portal_token(portal.settings)
    began = time.monotonic()
    wait_until(
        lambda: portal.ask("GET", "/api/v1/x", [old[1]]).status == 401, 5, "the end"
    )
    taken_s = time.monotonic() - began
    after = [portal.ask("GET", "/api/v1/x", [one]).status for one in old]
    vars(portal).pop("session")
    guarantee(
        "T28",
        "A second after the portal's token is rotated the old one, and sessions by it,"
        " open nothing",
        tried=len(old),
        violations=sum(status != 401 for status in after) + int(taken_s > 1),
        unit=f"credentials, refused after {taken_s:.2f} s",
        control="before the rotation they did, and the new token does",
    )

    assert (before, after) == ([404, 404], [401, 401])
    assert portal.token == new
    assert portal.ask("GET", "/api/v1/x", [portal.bearer()]).status == 404
    assert taken_s < 1


def test_a_session_survives_a_restart_and_ends_with_a_logout(tmp_path):
    """The cookie goes on in the next process of the portal, until its person leaves."""
    with PortalServer(tmp_path / "portal") as portal:
        cookie = ("Cookie", portal.session)
    own = ("Origin", portal.origin)
    portal.start()
    try:
        home = portal.ask("GET", "/", [cookie])
        again = portal.ask("GET", "/login", [cookie])
        out = portal.ask("POST", "/logout", [cookie, own])
        after = portal.ask("GET", "/", [cookie])
    finally:
        portal.stop()

    assert home.status == 200
    assert (again.status, again.values("location")) == (303, ["/"])
    assert (out.status, out.values("location")) == (303, ["/login"])
    assert "Max-Age=0" in out.values("set-cookie")[0]
    assert after.status == 401


def test_t28_the_token_is_in_no_log_no_command_line_and_no_page(portal, guarantee):
    """T28: after logins of each kind the token stands in its file and nowhere else."""
    token = portal.token
    asked = [
        portal.ask("GET", f"/login?token={token}", has_body=True),
        portal.ask("GET", f"/login?token={token}x", has_body=True),
        portal.ask("GET", "/", [("Cookie", portal.session)], has_body=True),
        portal.ask("GET", "/openapi.json", [portal.bearer()], has_body=True),
        portal.ask("GET", f"/none?token={token}", [portal.bearer()], has_body=True),
    ]
    texts = {
        str(path): path.read_bytes()
        for path in portal.folder.rglob("*")
        if path.is_file() and path.name != "secrets.json"
    }
    texts |= {f"answer {n}": one.body for n, one in enumerate(asked)}
    texts |= {f"headers {n}": repr(one.headers).encode() for n, one in enumerate(asked)}
    command = Path(f"/proc/{portal.process.pid}/cmdline")
    texts["command line"] = command.read_bytes()
    hits = [name for name, text in texts.items() if token.encode() in text]
    stored = json.loads(portal.settings.secrets_file.read_text())
    guarantee(
        "T28",
        "The portal's token is in no log, no command line, no header and no page",
        tried=len(texts),
        violations=len(hits),
        unit="files and answers",
        control="in secrets.json it is found",
    )

    assert stored["portalToken"] == token
    assert hits == []

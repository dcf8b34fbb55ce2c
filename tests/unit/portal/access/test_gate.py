"""Who is let in, while the file of the token changes."""

from __future__ import annotations

import json

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.portal.access.asked import Asked
from vllm_pkg.portal.access.gate import Gate
from vllm_pkg.portal.access.rules import Credential
from vllm_pkg.state.portal_token import ensure_portal_token, rotate_portal_token


@pytest.fixture(name="gate")
def gate_fixture(tmp_path):
    """A gate whose clock a test moves."""
    return Gate(make_settings(tmp_path), FakeClock())


def asked(gate, cookie):
    """Return a request with a cookie."""
    headers = {"cookie": (f"{gate.cookie_name}={cookie}",)}
    return Asked(False, "GET", "/", "http", headers)  # noqa: FBT003


def test_without_a_token_nobody_is_let_in(gate):
    """No file means that no token is right, not even the empty one."""
    assert gate.try_token("", None) is Credential.WRONG
    assert gate.open_session() == ""
    assert gate.look(asked(gate, "x"), None).credential is Credential.NONE


def test_a_changed_token_counts_at_the_next_look(gate):
    """A tenth of a second later the old token and its sessions are out."""
    old = ensure_portal_token(gate.settings)
    gate.clock.seconds += 1
    session = gate.open_session()
    shown = gate.look(asked(gate, session), None)
    assert (shown.credential, shown.is_in_force()) == (Credential.SESSION, True)

    new = rotate_portal_token(gate.settings)
    gate.clock.seconds += 1

    assert not shown.is_in_force()
    assert gate.look(asked(gate, session), None).credential is Credential.NONE
    assert gate.try_token(old, None) is Credential.WRONG
    assert gate.try_token(new, None) is Credential.TOKEN
    assert ensure_portal_token(gate.settings) == new


def test_a_token_that_is_renewed_counts_at_once(gate):
    """Who asks for it is given a session; that of before has ended."""
    old = ensure_portal_token(gate.settings)
    session = gate.open_session()
    shown = gate.look(asked(gate, session), None)
    renewed = gate.renew_token()

    assert not shown.is_in_force()
    assert gate.look(asked(gate, session), None).credential is Credential.NONE
    assert gate.look(asked(gate, renewed), None).credential is Credential.SESSION
    assert gate.try_token(old, None) is Credential.WRONG


def test_a_damaged_file_changes_nothing_and_a_missing_one_closes(gate, caplog):
    """What was read last stays, is said, and is tried again; no file opens nothing."""
    token = ensure_portal_token(gate.settings)
    file = gate.settings.secrets_file
    text = file.read_text()
    gate.clock.seconds += 1
    assert gate.try_token(token, "a") is Credential.TOKEN

    file.write_text("{")
    gate.clock.seconds += 1
    assert gate.try_token(token, "a") is Credential.TOKEN
    assert "the portal's token stays what it was" in caplog.text
    file.unlink()
    gate.clock.seconds += 1
    assert gate.try_token(token, "a") is Credential.WRONG
    file.write_text(text)
    gate.clock.seconds += 1
    assert gate.try_token(token, "a") is Credential.TOKEN


def test_another_change_of_the_file_keeps_ended_sessions_ended(gate):
    """A new key of the API brings back nobody who has logged out."""
    ensure_portal_token(gate.settings)
    gate.clock.seconds += 1
    cookie = gate.open_session()
    session = gate.find_session(asked(gate, cookie))
    gate.end_session(session)
    document = json.loads(gate.settings.secrets_file.read_text())
    gate.settings.secrets_file.write_text(json.dumps(document | {"future": 1}))
    gate.clock.seconds += 1

    assert gate.find_session(asked(gate, cookie)) is None
    assert gate.find_session(asked(gate, gate.open_session())) is not None

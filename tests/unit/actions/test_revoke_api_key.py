"""Revoke API Key: the form lists what can be revoked, and nothing else can be."""

from __future__ import annotations

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.state import keys
from vllm_pkg.state.secrets import Role


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A service without additional keys."""
    return ActionContext(settings=make_settings(tmp_path), is_running=True)


def add(context, name):
    """Add a key and return its id."""
    now = keys.now_utc()
    return keys.add_key(context.settings, name, Role.USER, None, now).entry.id


def test_the_form_lists_active_keys(context):
    """Those that have ended are not offered; the first one is preselected."""
    first, second, third = (add(context, name) for name in "abc")
    keys.revoke_key(context.settings, second, keys.now_utc())
    field = registry.action_input(context, "revoke-api-key").spec["key"]
    assert list(field["values"]) == [first, third]
    assert field["values"][first].startswith("a (made 2")
    assert field["default"] == first


def test_without_keys_there_is_nothing_to_choose(context):
    """The form says so instead of showing an empty choice."""
    field = registry.action_input(context, "revoke-api-key").spec["key"]
    assert field["values"] == {}
    assert field["default"] is None
    assert field["name"] == "Key - there is none but the primary one"
    with pytest.raises(InvalidArgument):
        registry.run_action(context, "revoke-api-key", {"key": "primary"})


def test_a_key_is_revoked(context):
    """It is refused without a restart, and the message says what that means."""
    key_id = add(context, "laptop")
    outcome = registry.run_action(context, "revoke-api-key", {"key": key_id})
    assert outcome.needs_restart is False
    assert outcome.result.as_json() == {
        "version": "1",
        "title": "API Key Revoked",
        "message": (
            "The key laptop is refused from now on. Requests that run already are not "
            "cut."
        ),
        "result": None,
    }
    assert keys.active_keys(context.settings, keys.now_utc()) == ()

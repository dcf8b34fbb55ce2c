"""Add API Key: the form, the key that is shown once, and what is refused."""

from __future__ import annotations

import re

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext, Single
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.state.secrets import Role, hash_key, load_secrets

VALUE = {"name": "laptop", "expiresDays": None, "role": "user"}


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A service without additional keys."""
    return ActionContext(settings=make_settings(tmp_path), is_running=True)


def test_the_form(context):
    """Name, end and role; a user's key without an end is what one gets by default."""
    spec = registry.action_input(context, "add-api-key").spec
    assert list(spec) == ["name", "expiresDays", "role"]
    assert spec["expiresDays"]["required"] is False
    assert spec["expiresDays"]["default"] is None
    assert spec["role"]["default"] == "user"
    assert list(spec["role"]["values"]) == ["user", "admin"]


def test_the_key_is_shown_once(context):
    """It is masked, its hash is stored, and no restart is needed."""
    outcome = registry.run_action(context, "add-api-key", VALUE)
    content = outcome.result.content
    assert isinstance(content, Single)
    assert (content.masked, content.copyable) == (True, True)
    (stored,) = load_secrets(context.settings).keys
    assert stored.hash == hash_key(content.value)
    assert (stored.name, stored.role, stored.expires) == ("laptop", Role.USER, None)
    assert outcome.needs_restart is False
    assert outcome.result.message == (
        "The key laptop is in force now. Copy it: it is not stored and cannot be "
        "shown again."
    )


def test_an_end_and_a_role(context):
    """The message says until when the key works."""
    value = {"name": "ops", "expiresDays": 7, "role": "admin"}
    message = registry.run_action(context, "add-api-key", value).result.message
    assert message is not None
    assert re.search(r"It works until \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$", message)
    (stored,) = load_secrets(context.settings).keys
    assert stored.role is Role.ADMIN
    assert stored.expires is not None
    assert (stored.expires - stored.created).days == 7


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a\n"},
        {"name": "ä"},
        {"name": "x" * 41},
        {"expiresDays": 0},
        {"expiresDays": 3651},
        {"expiresDays": 1.5},
        {"role": "root"},
    ],
)
def test_a_wrong_input_is_refused(context, change):
    """Nothing is stored then."""
    with pytest.raises(InvalidArgument):
        registry.run_action(context, "add-api-key", VALUE | change)
    assert not context.settings.secrets_file.exists()


def test_a_taken_name_is_refused(context):
    """Two active keys of one name could not be told apart."""
    registry.run_action(context, "add-api-key", VALUE)
    with pytest.raises(InvalidArgument, match="active key named"):
        registry.run_action(context, "add-api-key", VALUE)

"""Rotate API Key: the form, and what people are told."""

from __future__ import annotations

import json
import re

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.state import credentials
from vllm_pkg.state.secrets import load_secrets


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A service with a primary key."""
    context = ActionContext(settings=make_settings(tmp_path), is_running=True)
    credentials.ensure_key(context.settings)
    return context


def test_the_form_asks_how_long_the_old_key_stays(context):
    """One whole number of hours, 0 by default and 30 days at most."""
    spec = registry.action_input(context, "rotate-api-key").spec
    (field,) = spec.values()
    assert (field["default"], field["min"], field["max"]) == (0, 0, 720)
    assert (field["units"], field["integer"]) == ("hours", True)


def test_the_new_key_is_shown_masked(context):
    """It is in force without a restart, and the old one is refused."""
    old = credentials.load_key(context.settings)
    outcome = registry.run_action(context, "rotate-api-key", {"keepHours": 0})
    new = json.loads(context.settings.credentials_file.read_text())["apiKey"]
    assert new != old
    assert outcome.needs_restart is False
    assert outcome.result.as_json() == {
        "version": "1",
        "title": "API Key Rotated",
        "message": (
            "This key is in force now; nothing has to be restarted. The old key is "
            "refused."
        ),
        "result": {
            "type": "single",
            "value": new,
            "copyable": True,
            "qr": False,
            "masked": True,
        },
    }


def test_the_old_key_can_be_kept(context):
    """The message says until when."""
    outcome = registry.run_action(context, "rotate-api-key", {"keepHours": 24})
    assert outcome.result.message is not None
    until = r"The old key works until \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$"
    assert re.search(until, outcome.result.message)
    assert len(load_secrets(context.settings).keys) == 1


@pytest.mark.parametrize("hours", [-1, 721, 0.5, None, "1"])
def test_a_wrong_number_is_refused(context, hours):
    """Nothing is rotated then."""
    old = credentials.load_key(context.settings)
    with pytest.raises(InvalidArgument):
        registry.run_action(context, "rotate-api-key", {"keepHours": hours})
    assert credentials.load_key(context.settings) == old

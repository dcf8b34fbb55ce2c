"""The registry: finding actions, their states and inputs; the key; the tasks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.get_api_credentials import base_url_text
from vllm_pkg.actions.protocol import (
    ActionContext,
    ActionResult,
    Group,
    Member,
    Single,
)
from vllm_pkg.actions.tasks import pending_tasks
from vllm_pkg.errors import (
    InvalidArgument,
    NotAllowedInState,
    StateCorrupt,
    UnknownAction,
)
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.state.store import ModelSelection, update_store

KEY = "abcdefghijklmnopqrstuv"


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A stopped service without any state."""
    return ActionContext(settings=make_settings(tmp_path), is_running=False)


def with_statuses(monkeypatch, statuses):
    """Let Get API Key be allowed in these states only."""
    manifest = load_manifest()
    entries = tuple(
        item.model_copy(update={"allowed_statuses": statuses})
        for item in manifest.actions
    )
    changed = manifest.model_copy(update={"actions": entries})
    monkeypatch.setattr(registry, "load_manifest", lambda: changed)


def test_the_key_is_shown_masked(context):
    """The result is one value: masked, to copy, without a QR code."""
    context.settings.public.mkdir(parents=True)
    context.settings.credentials_file.write_text(json.dumps({"apiKey": KEY}))
    outcome = registry.run_action(context, "get-api-credentials", None)
    assert outcome.needs_restart is False
    assert outcome.result.as_json() == {
        "version": "1",
        "title": "API Key",
        "message": (
            "Clients send this key as bearer token. Their base URL is "
            "http://127.0.0.1:8000/v1."
        ),
        "result": {
            "type": "single",
            "value": KEY,
            "copyable": True,
            "qr": False,
            "masked": True,
        },
    }


def test_a_missing_key_is_made(context):
    """The first call makes the key, and the next shows the same."""
    first = registry.run_action(context, "get-api-credentials", {}).result
    assert first == registry.run_action(context, "get-api-credentials", None).result
    stored = json.loads(context.settings.credentials_file.read_text())
    assert first.as_json()["result"]["value"] == stored["apiKey"]


def test_a_damaged_key_is_an_error(context):
    """A damaged key file is reported instead of being replaced."""
    context.settings.public.mkdir(parents=True)
    context.settings.credentials_file.write_text("{")
    with pytest.raises(StateCorrupt):
        registry.run_action(context, "get-api-credentials", None)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"VLLM_PKG_HOST": "10.0.0.7", "VLLM_PKG_PORT": "9"}, "http://10.0.0.7:9/v1"),
        ({"VLLM_PKG_HOST": "::1"}, "http://[::1]:8000/v1"),
        (
            {"VLLM_PKG_HOST": "0.0.0.0"},
            "http://<address of this machine>:8000/v1",
        ),
        (
            {"VLLM_PKG_PROFILE": "startos"},
            "the address of the vLLM API with /v1 appended",
        ),
        (
            {"VLLM_PKG_PROFILE": "gpu-image"},
            "the address of the vLLM API with /v1 appended",
        ),
    ],
)
def test_the_base_url(tmp_path, variables, text):
    """The base URL is exact where the program knows it."""
    assert base_url_text(make_settings(tmp_path, **variables)) == text


def test_an_action_without_input_has_an_empty_form(context):
    """Its form has no fields and no value."""
    form = registry.action_input(context, "get-api-credentials").as_json()
    assert form == {"spec": {}, "value": None}


@pytest.mark.parametrize("value", [{"a": 1}, [1], "x", 1])
def test_an_action_without_input_takes_none(context, value):
    """An input for an action that has none is refused."""
    with pytest.raises(InvalidArgument, match="takes no input"):
        registry.run_action(context, "get-api-credentials", value)


def test_an_action_with_input_needs_one(context):
    """Without an input the form is pointed to."""
    with pytest.raises(InvalidArgument, match="delete-model-cache needs") as caught:
        registry.run_action(context, "delete-model-cache", None)
    assert "action input delete-model-cache" in caught.value.hint


@pytest.mark.parametrize("value", [{}, [], "x", {"config": 1}, {"konfig": {}}])
def test_an_input_is_checked(context, value):
    """An input that does not fit the form never reaches the action."""
    with pytest.raises(InvalidArgument):
        registry.run_action(context, "set-model", value)
    assert not context.settings.store_file.exists()


def test_an_unknown_action_gets_a_suggestion(context):
    """The most similar id is named; without one the list is."""
    with pytest.raises(UnknownAction) as caught:
        registry.run_action(context, "set-modle", None)
    assert caught.value.hint == "did you mean set-model?"
    with pytest.raises(UnknownAction) as caught:
        registry.action_input(context, "xyz")
    assert caught.value.hint == "see vllm-pkg action list"


@pytest.mark.parametrize(
    ("args", "what", "hint"),
    [
        (
            "org/name --port 1",
            "config.value.args: --port is reserved: the service sets it itself",
            "leave it out",
        ),
        (
            "org/name 'x",
            "config.value.args: the quote at line 1, column 10 is never closed: 'x",
            "see its form: vllm-pkg action input set-model",
        ),
    ],
)
def test_a_wrong_input_gets_one_hint(context, args, what, hint):
    """What the field's own problem advises, else where the form is; not both."""
    value = {"config": {"selection": "custom", "value": {"args": args, "env": []}}}

    with pytest.raises(InvalidArgument) as caught:
        registry.run_action(context, "set-model", value)

    assert (caught.value.message, caught.value.hint) == (what, hint)
    (field,) = caught.value.fields
    assert field.path == ("config", "value", "args")


@pytest.mark.parametrize(
    ("statuses", "is_running", "message"),
    [
        ("only-running", False, "may only run while the service is running"),
        ("only-stopped", True, "may only run while the service is stopped"),
    ],
)
def test_a_wrong_state_is_refused(context, monkeypatch, statuses, is_running, message):
    """An action runs only in the states that it is allowed in."""
    with_statuses(monkeypatch, statuses)
    wrong = replace(context, is_running=is_running)
    with pytest.raises(NotAllowedInState, match=message):
        registry.run_action(wrong, "get-api-credentials", None)
    assert not context.settings.credentials_file.exists()
    right = replace(context, is_running=not is_running)
    assert registry.run_action(right, "get-api-credentials", None).result


@pytest.mark.parametrize("is_running", [True, False])
def test_any_state_is_allowed(context, is_running):
    """The actions of the package may run in any state."""
    context = replace(context, is_running=is_running)
    assert registry.run_action(context, "get-api-credentials", None).result


def test_the_machine_is_looked_up_each_time(tmp_path):
    """A context finds the recorded machine without being told how."""
    recording = tmp_path / "machine.json"
    recording.write_text('{"gpus": [], "system_memory_gib": 6}')
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(recording))
    context = ActionContext(settings=settings, is_running=False)
    assert context.hardware().memory_gib == 6
    recording.write_text('{"gpus": [], "system_memory_gib": 7}')
    assert context.hardware().memory_gib == 7


def test_groups_nest():
    """A result may hold named values and groups of them."""
    inner = Group((Member("Port", Single("8000")),))
    group = Group(
        (Member("Host", Single("h", qr=True), "Where"), Member("More", inner))
    )
    assert ActionResult("T", None, group).as_json() == {
        "version": "1",
        "title": "T",
        "message": None,
        "result": {
            "type": "group",
            "value": [
                {
                    "name": "Host",
                    "description": "Where",
                    "type": "single",
                    "value": "h",
                    "copyable": False,
                    "qr": True,
                    "masked": False,
                },
                {
                    "name": "More",
                    "description": None,
                    "type": "group",
                    "value": [
                        {
                            "name": "Port",
                            "description": None,
                            "type": "single",
                            "value": "8000",
                            "copyable": False,
                            "qr": False,
                            "masked": False,
                        }
                    ],
                },
            ],
        },
    }


def test_a_model_is_to_be_selected(context):
    """The critical task stands while no model is selected, and then no longer."""
    tasks = [task.as_json() for task in pending_tasks(context.settings)]
    assert tasks == [
        {
            "actionId": "set-model",
            "severity": "critical",
            "reason": "Select which AI model vLLM should serve",
        }
    ]
    selection = ModelSelection("custom", "a/b")
    update_store(context.settings, lambda s: s.with_model(("a/b",), (), selection))
    assert pending_tasks(context.settings) == ()
    update_store(context.settings, lambda s: s.without_model())
    assert len(pending_tasks(context.settings)) == 1

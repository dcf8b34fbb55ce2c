"""Apply Fix: when it is offered, what it changes, and when it refuses."""

from __future__ import annotations

import pytest

from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.apply_fix import ApplyFix, mend
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.errors import InvalidArgument, NotAllowedInState
from vllm_pkg.state.records import FailureRecord, SettingChange, write_record
from vllm_pkg.state.store import (
    EnvironmentVariable,
    ModelSelection,
    Store,
    load_store,
    update_store,
)

ARGS = ("org/name", "--max-model-len", "32768", "--enforce-eager")
ENV = (EnvironmentVariable("HF_TOKEN", "secret"),)
SHORTER = SettingChange("--max-model-len", "24576")
SELECTED = fingerprint(ARGS, ENV)
EXPLANATION = "The context does not fit."


def _failure(*changes, selection=SELECTED):
    return FailureRecord(
        at="2026-11-21T20:00:00+00:00",
        at_s=1.0,
        boot_id="b",
        summary="s",
        hint="h",
        exit_code=1,
        is_final=True,
        starts=1,
        cause="context-exceeds-memory",
        explanation=EXPLANATION,
        changes=changes,
        selection=selection,
    )


def _fail(context, *changes, **more):
    write_record(context.settings.failure_file, _failure(*changes, **more))


def _metadata(context):
    (entry,) = (
        item for item in registry.list_actions(context) if item["id"] == ApplyFix.id
    )
    return entry["visibility"], entry["description"]


@pytest.fixture(name="context")
def context_fixture(tmp_path):
    """A service with a preset selected, whose arguments are ARGS."""
    context = ActionContext(settings=make_settings(tmp_path), is_running=True)
    selection = ModelSelection("some-preset")
    update_store(context.settings, lambda store: store.with_model(ARGS, ENV, selection))
    return context


def test_it_is_hidden_without_a_failure(context):
    """Nothing failed: nothing to mend, and running it says so."""
    assert _metadata(context) == (
        "hidden",
        "Change the setting that made the last start fail",
    )
    with pytest.raises(NotAllowedInState, match="the last failure proposes no change"):
        registry.run_action(context, "apply-fix", None)


def test_it_is_hidden_without_a_change(context):
    """A failure that no setting mends offers nothing."""
    _fail(context)

    assert _metadata(context)[0] == "hidden"
    with pytest.raises(NotAllowedInState, match="proposes no change"):
        registry.run_action(context, "apply-fix", None)


def test_it_shows_what_it_would_change(context):
    """The description has the change and why; there is nothing to fill in."""
    _fail(context, SHORTER)

    assert _metadata(context) == (
        "enabled",
        "Mend the last failure: set --max-model-len to 24576. " + EXPLANATION,
    )
    assert registry.action_input(context, "apply-fix").as_json() == {
        "spec": {},
        "value": None,
    }
    with pytest.raises(InvalidArgument, match="takes no input"):
        registry.run_action(context, "apply-fix", {"a": 1})


def test_it_makes_the_change(context):
    """The arguments change, and the form shows exactly what is served."""
    _fail(context, SHORTER)

    outcome = registry.run_action(context, "apply-fix", None)

    assert outcome.needs_restart
    assert outcome.result.as_json() == {
        "version": "1",
        "title": "Fix Applied",
        "message": (
            "Done: set --max-model-len to 24576. The arguments now stand in the form of"
            " Set Model, as Custom."
        ),
        "result": None,
    }
    store = load_store(context.settings)
    assert store.serve_args == (
        *("org/name", "--enforce-eager"),
        *("--max-model-len", "24576"),
    )
    assert store.serve_env == ENV
    assert store.selection == ModelSelection(
        "custom", "org/name --enforce-eager --max-model-len 24576", ENV
    )
    prefilled = registry.action_input(context, "set-model").value
    assert prefilled is not None
    assert prefilled["config"]["value"]["args"] == (
        "org/name --enforce-eager --max-model-len 24576"
    )


def test_it_is_done_once(context):
    """Afterwards it is another selection, for which nothing is known."""
    _fail(context, SHORTER)
    registry.run_action(context, "apply-fix", None)

    assert _metadata(context)[0] == "hidden"
    with pytest.raises(NotAllowedInState, match="has changed since the failure"):
        registry.run_action(context, "apply-fix", None)


def test_another_selection_is_left_alone(context):
    """What was selected since the failure is not changed."""
    _fail(context, SHORTER)
    other = ("org/other", "--max-model-len", "32768")
    update_store(
        context.settings,
        lambda store: store.with_model(other, (), ModelSelection("custom", "x")),
    )

    assert _metadata(context)[0] == "hidden"
    with pytest.raises(NotAllowedInState, match="has changed since the failure"):
        registry.run_action(context, "apply-fix", None)
    assert load_store(context.settings).serve_args == other


def test_a_variable_can_be_changed(context):
    """A change may be one of the environment."""
    _fail(context, SettingChange("VLLM_CPU_KVCACHE_SPACE", "4"))
    registry.run_action(context, "apply-fix", None)

    store = load_store(context.settings)
    assert store.serve_args == ARGS
    assert store.serve_env == (*ENV, EnvironmentVariable("VLLM_CPU_KVCACHE_SPACE", "4"))


@pytest.mark.parametrize(
    "change",
    [
        SettingChange("--host", "0.0.0.0"),
        SettingChange("--middleware", "os.system"),
        SettingChange("VLLM_API_KEY", "known"),
        SettingChange("LD_PRELOAD", "/x.so"),
        SettingChange("--no-such-option"),
        SettingChange("--max-model-len", "--host"),
        SettingChange("--max-model-len", "1\0"),
    ],
)
def test_nothing_reserved_comes_in(context, change):
    """A record that somebody changed cannot set what is reserved, or no argument."""
    _fail(context, change)
    before = load_store(context.settings)

    assert _metadata(context)[0] == "hidden"
    with pytest.raises(NotAllowedInState):
        registry.run_action(context, "apply-fix", None)
    assert load_store(context.settings) == before


@pytest.mark.parametrize(
    "change",
    [
        SettingChange("--revision", is_removed=True),
        SettingChange("HF_HOME_OF_OTHERS", is_removed=True),
    ],
)
def test_a_change_that_changes_nothing_is_not_offered(context, change):
    """What is to be removed is not there: it would only fail again."""
    _fail(context, change)

    assert _metadata(context)[0] == "hidden"


def test_without_a_selection_there_is_nothing_to_mend():
    """No model, or stored arguments that are refused: nothing is offered."""
    assert mend(Store(), _failure(SHORTER)) is None
    assert mend(Store(("m", "--host", "x")), _failure(SHORTER)) is None
    assert mend(Store(ARGS, ENV), _failure()) is None
    assert mend(Store(ARGS, ENV), _failure(SHORTER)) is not None


def test_a_damaged_store_does_not_hide_the_other_actions(context):
    """The list of actions is shown all the same; only this one is hidden."""
    _fail(context, SHORTER)
    context.settings.store_file.write_text("garbage")

    assert _metadata(context)[0] == "hidden"

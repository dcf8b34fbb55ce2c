"""Apply Fix for the target of a switch that failed, while the old model serves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from support.switching import OLD, OTHER, prepare_store, selected_now
from vllm_pkg.actions import prepared_switch, registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.errors import NotAllowedInState
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.state.records import FailureRecord, SettingChange, write_record
from vllm_pkg.state.store import EnvironmentVariable, ModelSelection, update_store
from vllm_pkg.state.switch import Selected, Switches, SwitchPhase
from vllm_pkg.state.switch_file import (
    load_switches,
    request_switch,
    update_switches,
    write_fetcher,
)

P = SwitchPhase
ENV = (EnvironmentVariable("HF_TOKEN", "secret"),)
TARGET = Selected(
    ("org/long", "--max-model-len", "9999"), ENV, ModelSelection("some-preset")
)
MENDED = Selected(
    ("org/long", "--max-model-len", "2048"),
    ENV,
    ModelSelection("custom", "org/long --max-model-len 2048", ENV),
)
SHORTER = SettingChange("--max-model-len", "2048")
OFFER = "Switch to org/long again, and set --max-model-len to 2048. It is too long."


@pytest.fixture(name="settings")
def settings_fixture(tmp_path, monkeypatch):
    """The old model serves again, beside a fetcher, after a switch was taken back."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)
    write_fetcher(settings, own_identity())
    health = HealthResult(Result.SUCCESS, "")
    monkeypatch.setattr(prepared_switch, "check_health", lambda _: health)
    request_switch(settings, TARGET)
    put(settings)
    return settings


def put(settings, *changes, phase=P.RETURNED, **fields):
    """Let the switch have ended like that."""
    present = load_switches(settings).current
    assert present is not None
    ended = replace(
        present,
        phase=phase,
        reason="It is too long.",
        changes=changes or (SHORTER,),
        **fields,
    )
    update_switches(settings, lambda _: Switches(ended))


def metadata(settings):
    """Return how the action stands in the list."""
    context = ActionContext(settings, is_running=True)
    (entry,) = (
        item for item in registry.list_actions(context) if item["id"] == "apply-fix"
    )
    return entry["visibility"], entry["description"]


def run(settings, **fields):
    """Run the action."""
    context = ActionContext(settings, **{"is_running": True} | fields)
    return registry.run_action(context, "apply-fix", None)


@pytest.mark.parametrize("phase", [P.RETURNED, P.FAILED])
def test_the_failed_target_is_switched_to_again(settings, phase):
    """The change is made to it, not to what serves; the fetcher gets the request."""
    put(settings, phase=phase)
    assert metadata(settings) == ("enabled", OFFER)

    outcome = run(settings)

    assert outcome.needs_restart is False
    assert outcome.result.title == "Switch Begun"
    assert outcome.result.message is not None
    assert outcome.result.message.startswith(
        "Done: set --max-model-len to 2048. org/old goes on serving while it is"
    )
    current = load_switches(settings).current
    assert current is not None
    assert (current.target, current.previous) == (MENDED, OLD)
    assert current.phase is P.PREPARING
    assert selected_now(settings) == OLD
    assert metadata(settings)[0] == "hidden"


def test_without_a_service_it_is_selected_at_once(settings):
    """Nothing serves that could go on: what is mended is selected, and starts next."""
    outcome = run(settings, is_running=False)

    assert outcome.needs_restart is True
    assert outcome.result.title == "Fix Applied"
    assert selected_now(settings) == MENDED
    assert metadata(settings)[0] == "hidden"


@pytest.mark.parametrize("phase", sorted(set(P) - {P.RETURNED, P.FAILED}))
def test_a_switch_that_did_not_fail_offers_nothing(settings, phase):
    """One that is under way, done or cancelled is left alone."""
    put(settings, phase=phase)

    assert metadata(settings)[0] == "hidden"
    with pytest.raises(NotAllowedInState, match="the last failure proposes no change"):
        run(settings)


@pytest.mark.parametrize(
    "change",
    [
        SettingChange("--quantization", is_removed=True),
        SettingChange("--host", "0.0.0.0"),
        SettingChange("VLLM_API_KEY", "known"),
        SettingChange("--no-such-option"),
    ],
)
def test_what_cannot_be_served_is_not_offered(settings, change):
    """Nothing reserved comes in by a file that somebody changed, and no no-op."""
    put(settings, change)

    assert metadata(settings)[0] == "hidden"
    with pytest.raises(NotAllowedInState):
        run(settings)


def test_after_another_selection_it_is_gone(settings):
    """Who has chosen something else since is not taken back to the failed one."""
    update_store(settings, OTHER.put_into)

    assert metadata(settings)[0] == "hidden"


def test_a_target_that_is_refused_is_not_offered(settings):
    """Arguments that this version does not accept cannot be mended."""
    put(settings, target=replace(TARGET, serve_args=("m", "--host", "x")))

    assert metadata(settings)[0] == "hidden"


def test_what_serves_now_comes_first(settings):
    """When the model that came back fails as well, its own fix is the one to make."""
    failure = FailureRecord(
        at="t",
        at_s=1.0,
        boot_id="b",
        summary="s",
        hint="h",
        exit_code=1,
        is_final=True,
        starts=1,
        changes=(SettingChange("--max-model-len", "256"),),
        selection=fingerprint(OLD.serve_args, OLD.serve_env),
    )
    write_record(settings.failure_file, failure)
    assert metadata(settings)[1].startswith("Mend the last failure: set --max-model-")

    run(settings)

    assert selected_now(settings).serve_args == ("org/old", "--max-model-len", "256")
    assert metadata(settings)[0] == "hidden"


def test_a_damaged_file_hides_it_alone(settings):
    """The other actions are listed all the same."""
    settings.switch_file.write_text("{")

    assert metadata(settings)[0] == "hidden"

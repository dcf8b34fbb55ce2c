"""When Set Model asks for a switch, and when it selects at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.model_cache import ONE, add_revision
from support.settings_factory import make_settings
from support.sizing_cases import FULL, architecture, gpu_machine
from support.switching import NEW, OLD, prepare_store, selected_now
from vllm_pkg.actions import prepared_switch, registry
from vllm_pkg.actions.model_removal import check_plan, models_in_use
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.errors import InvalidArgument, ModelInUse
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.deletion_plan import plan_deletion
from vllm_pkg.models.sizing.arguments import read_arguments
from vllm_pkg.models.sizing.assess import Assessment
from vllm_pkg.models.sizing.estimate import Situation
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.verdict import Verdict, decide
from vllm_pkg.state.store import EnvironmentVariable, ModelSelection
from vllm_pkg.state.switch import Selected, Switches, SwitchPhase
from vllm_pkg.state.switch_file import (
    load_switches,
    request_switch,
    update_switches,
    write_fetcher,
)

OFFLINE = EnvironmentVariable("HF_HUB_OFFLINE", "1")
VALUE = {
    "config": {
        "selection": "custom",
        "value": {"args": "org/next", "env": [OFFLINE.as_json()]},
    }
}
NEXT = Selected(
    ("org/next",), (OFFLINE,), ModelSelection("custom", "org/next", (OFFLINE,))
)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path, monkeypatch):
    """A service that serves the old model, with a fetcher beside it."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)
    write_fetcher(settings, own_identity())
    set_health(monkeypatch, Result.SUCCESS)
    return settings


def fits(*_):
    """Say that it runs, as far as is known."""
    return Assessment("org/next", Verdict.UNKNOWN, "nobody was asked")


def is_too_large(*_):
    """Say that it does not run on a card of 1 GiB."""
    situation = Situation(
        architecture(FULL), weights_bytes=50 * GIB, machine=gpu_machine(1.0)
    )
    decision = decide(situation, read_arguments({}))
    return Assessment(
        "org/next", decision.verdict, decision=decision, situation=situation
    )


def set_health(monkeypatch, result):
    """Let the health be something."""
    found = HealthResult(result, "")
    monkeypatch.setattr(prepared_switch, "check_health", lambda _: found)


def run(settings, *, is_running=True, is_immediate=False, assess=fits):
    """Run Set Model."""
    context = ActionContext(
        settings, is_running=is_running, is_immediate=is_immediate, assess=assess
    )
    return registry.run_action(context, "set-model", VALUE)


def test_while_a_model_serves_a_switch_is_asked_for(settings):
    """The selection stays as it is; the fetcher gets the request; no restart."""
    outcome = run(settings)

    assert outcome.needs_restart is False
    assert outcome.result.title == "Switch Begun"
    assert outcome.result.message is not None
    assert outcome.result.message.endswith(
        "org/old goes on serving while it is prepared, and comes back by itself if it"
        " does not start. How far it is: vllm-pkg switch status."
    )
    current = load_switches(settings).current
    assert current is not None
    assert (current.target, current.previous) == (NEXT, OLD)
    assert selected_now(settings) == OLD


def test_what_does_not_fit_leaves_the_old_model_alone(settings):
    """No switch begins: the field says what is missing, and how to try all the same."""
    with pytest.raises(InvalidArgument) as caught:
        run(settings, assess=is_too_large)

    (problem,) = caught.value.fields
    assert problem.path == ("config", "value", "args")
    assert "org/next does not run here: 5" in problem.message
    assert problem.message.endswith("or give --no-prepare on the command line")
    assert load_switches(settings).current is None
    assert selected_now(settings) == OLD


def test_what_does_not_fit_is_selected_when_nothing_is_lost_by_it(settings):
    """With nothing to keep serving it is the user's word, and the answer is said."""
    outcome = run(settings, is_immediate=True, assess=is_too_large)

    assert outcome.result.message is not None
    assert "org/next does not run here" in outcome.result.message
    assert selected_now(settings) == NEXT


@pytest.mark.parametrize("why", ["stopped", "immediate", "loading", "no fetcher"])
def test_where_nothing_serves_it_is_selected_at_once(settings, monkeypatch, why):
    """With nothing to keep serving, or when asked, it is the mission's restart."""
    if why == "loading":
        set_health(monkeypatch, Result.LOADING)
    if why == "no fetcher":
        settings.fetcher_file.unlink()

    outcome = run(
        settings, is_running=why != "stopped", is_immediate=why == "immediate"
    )

    assert outcome.needs_restart is True
    assert outcome.result.title == "Model Selected"
    assert selected_now(settings) == NEXT
    assert not settings.switch_file.exists()


def test_selecting_at_once_ends_a_switch(settings):
    """What is selected later, past the fetcher, wins over what it prepares."""
    request_switch(settings, NEW)

    run(settings, is_immediate=True)

    current = load_switches(settings).current
    assert current is not None
    assert current.phase is SwitchPhase.CANCELLED
    assert selected_now(settings) == NEXT


def test_while_one_is_proved_the_next_one_waits(settings, monkeypatch):
    """The engine loads then, and still the newer request is not a second restart."""
    set_health(monkeypatch, Result.LOADING)
    present = request_switch(settings, NEW).current
    assert present is not None
    proving = Switches(replace(present, phase=SwitchPhase.PROVING))
    update_switches(settings, lambda _: proving)

    outcome = run(settings)

    assert outcome.result.message is not None
    assert outcome.result.message.endswith(
        "The switch begins as soon as the one that is under way has ended."
    )
    waiting = load_switches(settings).waiting
    assert waiting is not None
    assert waiting.target == NEXT
    assert selected_now(settings) == OLD


def test_the_form_says_what_came_of_the_last_switch(settings):
    """A switch that is under way is told; a damaged file does not close the form."""
    assert prepared_switch.describe_last_switch(settings) is None

    request_switch(settings, NEW)
    text = "Preparing the switch to org/new, while org/old serves."
    assert prepared_switch.describe_last_switch(settings) == text
    context = ActionContext(settings, is_running=True)
    spec = registry.action_input(context, "set-model").spec
    assert spec["config"]["description"].endswith(text)

    settings.switch_file.write_text("{")
    assert prepared_switch.describe_last_switch(settings) is None


def test_what_a_switch_needs_is_not_deleted(settings):
    """The models of a switch under way stay in the cache, until it is over."""
    folder = settings.models_dir / "models--org--name"
    add_revision(folder, ONE, {"a.bin": b"a"}, ("main",))
    (model,) = list_cached(settings)
    plan = plan_deletion(settings, "org/name")
    request_switch(settings, Selected(("org/name",)))

    assert models_in_use(settings).uses(model)
    with pytest.raises(ModelInUse, match="org/name is part of a switch of models"):
        check_plan(settings, plan)

    settings.switch_file.write_text("{")
    assert not models_in_use(settings).uses(model)
    settings.switch_file.unlink()
    assert check_plan(settings, plan) is False

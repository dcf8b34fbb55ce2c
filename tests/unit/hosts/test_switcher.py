"""Switches over the real files: what is served after each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.settings_factory import make_settings
from support.switching import (
    CAUSE,
    CHANGES,
    FIX,
    NEW,
    OLD,
    REFUSAL,
    FakeWorld,
    asked_world,
    prepare_store,
    selected_now,
)
from vllm_pkg.errors import EngineError, HostNotRunning, StateCorrupt
from vllm_pkg.models.download.errors import RevisionNotFound
from vllm_pkg.state.store import load_store
from vllm_pkg.state.switch import Selected, SwitchPhase

P = SwitchPhase


@pytest.fixture(name="world")
def world_fixture(tmp_path):
    """A world in which the old model is selected and the new one is asked for."""
    return asked_world(tmp_path)


def test_a_good_model_is_switched_to(world):
    """It is prepared first; then one restart, one first request, and it is done."""
    seen = []
    world.on_prepare = lambda _: seen.append(selected_now(world.settings))

    switch = world.run()

    assert switch.phase is P.DONE
    assert (switch.reason, switch.return_reason) == (None, None)
    assert seen == [OLD]
    assert selected_now(world.settings) == NEW
    assert world.restarts == ["org/new"]
    assert world.canaries == ["org/new"]
    assert load_store(world.settings).document["future"] == {"x": 1}


def test_what_cannot_be_prepared_leaves_the_old_model_alone(world):
    """A download that fails ends the switch; nothing was restarted or selected."""
    world.absent = frozenset({"org/new"})

    switch = world.run()

    assert switch.phase is P.FAILED
    assert switch.reason == "There is no org/new."
    assert (switch.hint, switch.changes) == ("Check the name.", ())
    assert selected_now(world.settings) == OLD
    assert world.restarts == []


def test_a_revision_that_is_not_there_can_be_left_out(world):
    """The fix of an error in the preparation is kept: one that the target needs."""
    gone = RevisionNotFound("org/new has no branch, tag or commit 'v9'")
    target = replace(NEW, serve_args=("org/new", "--revision", "v9"))
    world.put(P.PREPARING, OLD, target=target)

    def on_prepare(_):
        raise gone

    world.on_prepare = on_prepare
    switch = world.run()

    assert switch.phase is P.FAILED
    assert switch.reason == "org/new has no branch, tag or commit 'v9'."
    assert switch.changes == CHANGES
    assert switch.hint is not None
    assert switch.hint.endswith('The "Apply Fix" action can do it: remove --revision.')


def test_a_model_that_fails_gives_its_place_back(world):
    """Cause, hint and changes are kept, and the old model serves again."""
    world.broken = frozenset({"org/new"})

    switch = world.run()

    assert switch.phase is P.RETURNED
    assert (switch.reason, switch.hint, switch.changes) == (CAUSE, FIX, CHANGES)
    assert switch.return_reason is None
    assert selected_now(world.settings) == OLD
    assert load_store(world.settings).document["future"] == {"x": 1}
    assert world.restarts == ["org/new", "org/old"]
    assert world.canaries == []


def test_a_model_that_does_not_answer_gives_its_place_back(world):
    """An engine that is healthy and fails the first request does not stay."""
    world.mute = frozenset({"org/new"})

    switch = world.run()

    assert (switch.phase, switch.reason) == (P.RETURNED, REFUSAL)
    assert selected_now(world.settings) == OLD
    assert world.restarts == ["org/new", "org/old"]


def test_a_host_that_is_killed_says_nothing_of_the_model(world):
    """A first request that fails as the host goes is made again when one is back."""

    def kill():
        world.is_host_running = False
        world.mute = frozenset({"org/new"})

    def come_back():
        if not world.is_host_running and world.clock.seconds > gone_s + 60:
            world.is_host_running = True
            world.mute = frozenset()
            world.on_canary = lambda: None

    gone_s = world.clock.seconds
    world.on_canary, world.on_look = kill, come_back

    switch = world.run()

    assert (switch.phase, switch.reason) == (P.DONE, None)
    assert selected_now(world.settings) == NEW
    assert world.canaries == ["org/new", "org/new"]


def test_a_model_that_never_comes_up_gives_its_place_back(world):
    """T17: after the limit of 35 minutes the old selection comes back."""
    world.slow = frozenset({"org/new"})

    switch = world.run()

    assert switch.phase is P.RETURNED
    assert switch.reason == "The engine was not ready within 35 minutes."
    assert selected_now(world.settings) == OLD
    assert 3100 < world.clock.seconds < 3200


def test_without_a_limit_it_is_waited_for(world):
    """0 as the limit means for ever: after two days it is still waited for."""
    world.slow = frozenset({"org/new"})
    world.settings = replace(world.settings, switch_timeout_s=0.0)

    def look():
        world.clock.seconds += 3600
        if world.clock.seconds > 200000:
            raise StateCorrupt("enough")

    world.on_look = look
    with pytest.raises(StateCorrupt, match="enough"):
        world.run()

    assert world.switch().phase is P.PROVING


def test_a_return_that_fails_too_stays_with_both_reasons(world):
    """Nothing goes round in circles: two restarts, and both reasons are kept."""
    world.broken = frozenset({"org/new", "org/old"})

    switch = world.run()

    assert switch.phase is P.RETURNED
    assert (switch.reason, switch.return_reason) == (CAUSE, CAUSE)
    assert selected_now(world.settings) == OLD
    assert world.restarts == ["org/new", "org/old"]


def test_a_host_that_refuses_is_a_failure(world):
    """When the engine cannot be restarted at all, the old selection is restored."""
    world.restart_error = EngineError("the engine was not restarted: no")

    switch = world.run()

    assert switch.phase is P.RETURNED
    assert switch.reason == "The engine was not restarted: no."
    assert switch.return_reason == "The engine was not restarted: no."
    assert selected_now(world.settings) == OLD


def test_a_stopped_host_is_waited_for(world):
    """The next start of the service goes on, however long it takes until then."""
    world.is_host_running = False
    world.restart_error = HostNotRunning("the service is not running")
    looks = []

    def look():
        looks.append(1)
        world.clock.seconds += 3600
        if len(looks) == 100:
            world.is_host_running, world.restart_error = True, None
            world.restart()

    world.on_look = look

    assert world.run().phase is P.DONE
    assert world.restarts == ["org/new"]


def test_a_crash_is_given_one_more_chance(world):
    """One failed start that is tried again is waited for; the second one is enough."""
    world.slow = frozenset({"org/new"})
    looks = []

    def look():
        looks.append(world.restarts[-1])
        if looks.count("org/new") == 3:
            world.fail("It crashed.", is_final=False, starts=1)
        if looks.count("org/new") == 5:
            world.fail("It crashed again.", is_final=False, starts=2)

    world.on_look = look
    switch = world.run()

    assert switch.reason == "It crashed again."
    assert looks.count("org/new") == 5


def test_what_was_no_selection_comes_back_too(world):
    """From nothing selected, a model that fails leaves nothing selected again."""
    nothing = Selected(())
    world.broken = frozenset({"org/new"})
    world.put(P.PREPARED, nothing, previous=nothing)

    switch = world.run()

    assert (switch.phase, switch.reason) == (P.RETURNED, CAUSE)
    assert selected_now(world.settings) == nothing
    assert world.restarts == ["org/new", "nothing"]


def test_without_a_request_there_is_nothing_to_do(tmp_path):
    """An idle fetcher does nothing."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)

    assert FakeWorld(settings).switcher().step() is False

"""Switches over the real files: what is served after each, and after each crash."""

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
    OTHER,
    REFUSAL,
    FakeWorld,
    prepare_store,
    selected_now,
)
from vllm_pkg.errors import (
    EngineError,
    HostNotRunning,
    NoModelSelected,
    StateCorrupt,
)
from vllm_pkg.hosts.fetcher.watch import FetcherEnds
from vllm_pkg.models.download.errors import RevisionNotFound
from vllm_pkg.state.store import load_store, update_store
from vllm_pkg.state.switch import Instant, Selected, Switches, SwitchPhase
from vllm_pkg.state.switch_file import (
    load_switches,
    request_switch,
    update_switches,
    utc_now,
)

P = SwitchPhase
CHANGED = "Another model was selected meanwhile."


@pytest.fixture(name="world")
def world_fixture(tmp_path):
    """A world in which the old model is selected and the new one is asked for."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)
    request_switch(settings, NEW)
    return FakeWorld(settings)


def switch_of(world):
    """Return the present switch."""
    current = load_switches(world.settings).current
    assert current is not None
    return current


def put(world, phase, selected, **changes):
    """Leave the files as a fetcher leaves them that was killed in a phase."""
    present = switch_of(world)
    update_switches(
        world.settings, lambda _: Switches(replace(present, phase=phase, **changes))
    )
    update_store(world.settings, selected.put_into)


def tried_now(world):
    """Return the present moment."""
    return Instant(world.clock.seconds, world.clock.boot)


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
    put(world, P.PREPARING, OLD, target=target)

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

    assert switch_of(world).phase is P.PROVING


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


@pytest.mark.parametrize(
    ("phase", "held", "prepared", "restarts"),
    [
        (P.PREPARING, OLD, ["org/new"], ["org/new"]),
        (P.PREPARED, OLD, [], ["org/new"]),
        (P.PREPARED, NEW, [], ["org/new"]),
        (P.PROVING, NEW, [], ["org/new"]),
    ],
)
def test_a_crash_on_the_way_there_is_finished(world, phase, held, prepared, restarts):
    """Whatever phase a fetcher was killed in, the next one ends with the new model."""
    put(world, phase, held, tried=tried_now(world) if phase is P.PROVING else None)

    assert world.run().phase is P.DONE
    assert selected_now(world.settings) == NEW
    assert world.prepared == prepared
    assert world.restarts == restarts


@pytest.mark.parametrize(
    ("phase", "held"), [(P.RETURNING, NEW), (P.RETURNING, OLD), (P.SETTLING, OLD)]
)
def test_a_crash_on_the_way_back_is_finished(world, phase, held):
    """Killed while it goes back, the next one ends with the old model, and why."""
    put(world, phase, held, tried=tried_now(world), reason="It failed.")

    switch = world.run()

    assert (switch.phase, switch.reason) == (P.RETURNED, "It failed.")
    assert selected_now(world.settings) == OLD
    assert world.restarts == ["org/old"]


@pytest.mark.parametrize(
    ("phase", "held", "over"),
    [(P.PROVING, NEW, P.DONE), (P.SETTLING, OLD, P.RETURNED)],
)
def test_an_engine_that_was_restarted_is_not_restarted_again(world, phase, held, over):
    """Killed after the restart, the next fetcher goes on with the engine there is."""
    put(world, phase, held, tried=tried_now(world))
    world.restart()

    assert world.run().phase is over
    assert len(world.restarts) == 1


def test_a_switch_of_an_earlier_boot_goes_on(world):
    """After a reboot the engine of this boot has begun with the new selection."""
    put(world, P.PROVING, NEW, tried=Instant(99999.0, "earlier boot"))
    world.restart()

    assert world.run().phase is P.DONE
    assert len(world.restarts) == 1


@pytest.mark.parametrize("phase", [P.PREPARED, P.PROVING, P.RETURNING, P.SETTLING])
def test_what_somebody_else_selected_wins(world, phase):
    """Something else in store.json is left there, in each phase."""
    put(world, phase, OTHER)

    switch = world.run()

    assert (switch.phase, switch.reason) == (P.CANCELLED, CHANGED)
    assert selected_now(world.settings) == OTHER
    assert world.restarts == []


def test_selecting_past_a_preparation_ends_it(world):
    """A download that nobody wants any more is given up within a second."""
    asked = []

    def on_prepare(is_cancelled):
        update_store(world.settings, OTHER.put_into)
        world.clock.seconds += 1
        asked.append(is_cancelled())
        asked.append(is_cancelled())

    world.on_prepare = on_prepare
    switch = world.run()

    assert asked == [True, True]
    assert (switch.phase, switch.reason) == (P.CANCELLED, CHANGED)
    assert selected_now(world.settings) == OTHER


def test_selecting_past_a_proof_ends_it(world):
    """While the new engine loads somebody selects another: that one stays."""
    world.slow = frozenset({"org/new"})
    world.on_look = lambda: update_store(world.settings, OTHER.put_into)

    switch = world.run()

    assert (switch.phase, switch.reason) == (P.CANCELLED, CHANGED)
    assert selected_now(world.settings) == OTHER


def test_cancelling_a_preparation_ends_it(world):
    """The fetcher notices it, and the file stays as the person's command left it."""

    def on_prepare(_):
        update_switches(
            world.settings, lambda present: present.cancelled(utc_now()) or present
        )
        world.clock.seconds += 1

    world.on_prepare = on_prepare
    switch = world.run()

    assert (switch.phase, switch.reason) == (P.CANCELLED, "It was cancelled.")
    assert selected_now(world.settings) == OLD


def test_cancelling_a_proof_goes_back(world):
    """A model that still loads gives its place back when its switch is cancelled."""
    world.slow = frozenset({"org/new"})

    def look():
        update_switches(
            world.settings, lambda present: present.cancelled(utc_now()) or present
        )

    world.on_look = look
    switch = world.run()

    assert (switch.phase, switch.reason) == (P.RETURNED, "It was cancelled.")
    assert selected_now(world.settings) == OLD


def test_a_newer_request_takes_the_place_of_one_being_prepared(world):
    """Only the newest one is ever swapped in."""

    def on_prepare(_):
        if world.prepared == ["org/new"]:
            request_switch(world.settings, OTHER)
            world.clock.seconds += 1

    world.on_prepare = on_prepare

    assert world.run().phase is P.DONE
    assert world.prepared == ["org/new", "org/other"]
    assert world.restarts == ["org/other"]
    assert selected_now(world.settings) == OTHER


def test_a_newer_request_waits_for_a_proof(world):
    """While one is proved a newer one waits; then it is done, from what is served."""

    def look():
        if world.restarts == ["org/new"]:
            request_switch(world.settings, OTHER)

    world.on_look = look
    switch = world.run()

    assert switch.phase is P.DONE
    assert switch.previous == NEW
    assert world.restarts == ["org/new", "org/other"]


def test_what_was_no_selection_comes_back_too(world):
    """From nothing selected, a model that fails leaves nothing selected again."""
    nothing = Selected(())
    world.broken = frozenset({"org/new"})
    put(world, P.PREPARED, nothing, previous=nothing)

    switch = world.run()

    assert (switch.phase, switch.reason) == (P.RETURNED, CAUSE)
    assert selected_now(world.settings) == nothing
    assert world.restarts == ["org/new", "nothing"]


def test_the_end_of_its_host_ends_it_at_once(world):
    """Told to end in the middle of a download, it leaves the switch as it is."""
    switcher = world.switcher()
    is_ending: list[int] = []
    switcher.must_end = lambda: bool(is_ending)

    def on_prepare(_):
        is_ending.append(1)
        # As a download does that a signal has ended.
        raise NoModelSelected("no")

    world.on_prepare = on_prepare
    for _ in range(2):
        with pytest.raises(FetcherEnds):
            switcher.step()
    assert switch_of(world).phase is P.PREPARING


def test_without_a_request_there_is_nothing_to_do(tmp_path):
    """An idle fetcher does nothing."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)

    assert FakeWorld(settings).switcher().step() is False

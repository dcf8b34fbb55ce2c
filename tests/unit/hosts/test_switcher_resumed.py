"""Switches that were interrupted: killed on the way, or overtaken by a person."""

from __future__ import annotations

import pytest

from support.switching import NEW, OLD, OTHER, asked_world, selected_now
from vllm_pkg.errors import NoModelSelected
from vllm_pkg.hosts.fetcher.watch import FetcherEnds
from vllm_pkg.state.store import update_store
from vllm_pkg.state.switch import Instant, SwitchPhase
from vllm_pkg.state.switch_file import request_switch, update_switches, utc_now

P = SwitchPhase
CHANGED = "Another model was selected meanwhile."


@pytest.fixture(name="world")
def world_fixture(tmp_path):
    """A world in which the old model is selected and the new one is asked for."""
    return asked_world(tmp_path)


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
    world.put(phase, held, tried=world.now() if phase is P.PROVING else None)

    assert world.run().phase is P.DONE
    assert selected_now(world.settings) == NEW
    assert world.prepared == prepared
    assert world.restarts == restarts


@pytest.mark.parametrize(
    ("phase", "held"), [(P.RETURNING, NEW), (P.RETURNING, OLD), (P.SETTLING, OLD)]
)
def test_a_crash_on_the_way_back_is_finished(world, phase, held):
    """Killed while it goes back, the next one ends with the old model, and why."""
    world.put(phase, held, tried=world.now(), reason="It failed.")

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
    world.put(phase, held, tried=world.now())
    world.restart()

    assert world.run().phase is over
    assert len(world.restarts) == 1


def test_a_switch_of_an_earlier_boot_goes_on(world):
    """After a reboot the engine of this boot has begun with the new selection."""
    world.put(P.PROVING, NEW, tried=Instant(99999.0, "earlier boot"))
    world.restart()

    assert world.run().phase is P.DONE
    assert len(world.restarts) == 1


@pytest.mark.parametrize("phase", [P.PREPARED, P.PROVING, P.RETURNING, P.SETTLING])
def test_what_somebody_else_selected_wins(world, phase):
    """Something else in store.json is left there, in each phase."""
    world.put(phase, OTHER)

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
    assert world.switch().phase is P.PREPARING

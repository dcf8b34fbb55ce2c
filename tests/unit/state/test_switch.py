"""The states of a switch: every move, every request, and the JSON form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.switching import NEW, OLD, OTHER
from vllm_pkg.state.documents import Malformed
from vllm_pkg.state.records import SettingChange
from vllm_pkg.state.store import Store
from vllm_pkg.state.switch import (
    MOVES,
    IllegalMove,
    Instant,
    Selected,
    Switch,
    Switches,
    SwitchPhase,
    Waiting,
)
from vllm_pkg.state.switch_json import parse_switches, switches_as_json

AT = "2026-01-01T00:00:00+00:00"
LATER = "2026-01-01T00:00:09+00:00"
P = SwitchPhase
LEGAL = {
    (P.PREPARING, P.PREPARED),
    (P.PREPARING, P.FAILED),
    (P.PREPARING, P.CANCELLED),
    (P.PREPARED, P.PROVING),
    (P.PREPARED, P.CANCELLED),
    (P.PROVING, P.DONE),
    (P.PROVING, P.RETURNING),
    (P.PROVING, P.CANCELLED),
    (P.RETURNING, P.SETTLING),
    (P.RETURNING, P.CANCELLED),
    (P.SETTLING, P.RETURNED),
    (P.SETTLING, P.CANCELLED),
}
OVER = {P.DONE, P.FAILED, P.RETURNED, P.CANCELLED}
WANTED = Waiting("id-2", OTHER, LATER)
BEGUN = Switch("id-2", OTHER, OLD, LATER, LATER)


def switch(phase):
    """Return a switch in a phase."""
    return Switch("id-1", NEW, OLD, AT, AT, phase)


@pytest.mark.parametrize("phase", P)
@pytest.mark.parametrize("to", P)
def test_only_the_moves_of_the_table_are_possible(phase, to):
    """Each of the 81 pairs either moves or is refused, as written here."""
    if (phase, to) in LEGAL:
        moved = switch(phase).moved(to, LATER, reason="Why.")
        assert (moved.phase, moved.changed_at, moved.reason) == (to, LATER, "Why.")
        assert moved.requested_at == AT
    else:
        with pytest.raises(IllegalMove, match=f"from {phase} to {to}"):
            switch(phase).moved(to, LATER)


def test_every_switch_ends():
    """Each phase is over or leads on, and no way leads back to an earlier one."""
    assert {phase for phase in P if switch(phase).is_over} == OVER
    order = list(P)
    assert all(
        order.index(to) > order.index(phase) for phase in P for to in MOVES[phase]
    )


@pytest.mark.parametrize("phase", [None, P.PREPARING, *sorted(OVER)])
def test_a_request_takes_the_place_of_one_that_changed_nothing(phase):
    """With no switch, one that is prepared, or one that is over, it begins at once."""
    present = Switches(None if phase is None else switch(phase))

    assert present.requested(WANTED, OLD) == Switches(BEGUN)


@pytest.mark.parametrize("phase", sorted(set(P) - OVER - {P.PREPARING}))
def test_a_request_waits_while_something_is_changed(phase):
    """Later on it waits, the newest one alone, and begins when the other is over."""
    present = Switches(switch(phase), Waiting("id-0", NEW, AT))

    waiting = present.requested(WANTED, OLD)

    assert waiting == Switches(switch(phase), WANTED)
    assert waiting.promoted(OLD) == waiting
    assert replace(waiting, current=switch(P.DONE)).promoted(OLD) == Switches(BEGUN)
    assert Switches(switch(P.DONE)).promoted(OLD) == Switches(switch(P.DONE))


def test_a_move_is_made_only_from_where_it_began():
    """Another switch, or the same one in another phase, is left as it is."""
    present, to = switch(P.PREPARING), switch(P.PREPARED)

    assert Switches(present, WANTED).moved(present, to) == Switches(to, WANTED)
    for other in (None, replace(present, id="id-9"), switch(P.CANCELLED)):
        assert Switches(other).moved(present, to) == Switches(other)


def test_cancelling():
    """Preparing ends, proving goes back, what waits is dropped, the rest refuses."""
    why = "It was cancelled."

    assert Switches(switch(P.PREPARING)).cancelled(LATER) == Switches(
        switch(P.PREPARING).moved(P.CANCELLED, LATER, reason=why)
    )
    assert Switches(switch(P.PROVING), WANTED).cancelled(LATER) == Switches(
        switch(P.PROVING).moved(P.RETURNING, LATER, reason=why)
    )
    settling = switch(P.SETTLING)
    assert Switches(settling, WANTED).cancelled(LATER) == Switches(settling)
    for phase in (P.PREPARED, P.RETURNING, P.SETTLING, *OVER):
        assert Switches(switch(phase)).cancelled(LATER) is None
    assert Switches().cancelled(LATER) is None


@pytest.mark.parametrize("phase", P)
def test_which_switch_can_be_mended(phase):
    """One that is over, failed, and has a change that helps; nothing waits then."""
    changes = (SettingChange("--revision", is_removed=True),)
    failed = replace(switch(phase), changes=changes)

    found = Switches(failed).mendable

    assert found == (failed if phase in {P.FAILED, P.RETURNED} else None)
    assert Switches(switch(phase)).mendable is None
    assert Switches(failed, WANTED).mendable is None
    assert Switches().mendable is None


def test_what_is_selected_past_a_switch_wins():
    """It ends whatever is under way, keeps its reason, and drops what waits."""
    why = "Another model was selected meanwhile."
    returning = replace(switch(P.RETURNING), reason="It failed.")

    dropped = Switches(returning, WANTED).dropped(LATER)

    assert dropped == Switches(
        returning.moved(P.CANCELLED, LATER, reason=f"It failed. {why}")
    )
    assert Switches(switch(P.DONE), WANTED).dropped(LATER) == Switches(switch(P.DONE))
    assert Switches().dropped(LATER) == Switches()


def test_the_json_form():
    """A switch stands in the file as written here, and reads back as it was."""
    full = replace(
        switch(P.RETURNED),
        tried=Instant(12.5, "boot"),
        reason="It failed.",
        return_reason="So did this.",
        hint="Do so.",
        changes=(SettingChange("--max-model-len", "512"),),
    )
    switches = Switches(full, WANTED)

    document = switches_as_json(switches)

    assert document == {
        "current": {
            "id": "id-1",
            "phase": "returned",
            "target": {
                "serveArgs": ["org/new"],
                "modelSelection": {"selection": "preset-new"},
            },
            "previous": {
                "serveArgs": ["org/old", "--max-model-len", "512"],
                "serveEnv": [{"name": "A", "value": "1"}],
                "modelSelection": {
                    "selection": "custom",
                    "customArgs": "org/old --max-model-len 512",
                },
            },
            "requestedAt": AT,
            "changedAt": AT,
            "tried": {"atS": 12.5, "bootId": "boot"},
            "reason": "It failed.",
            "returnReason": "So did this.",
            "hint": "Do so.",
            "changes": [
                {"name": "--max-model-len", "value": "512", "isRemoved": False}
            ],
        },
        "waiting": {
            "id": "id-2",
            "target": {
                "serveArgs": ["org/other"],
                "modelSelection": {"selection": "preset-other"},
            },
            "requestedAt": LATER,
        },
    }
    assert parse_switches(document) == switches
    assert parse_switches(switches_as_json(Switches())) == Switches()
    bare = Switches(switch(P.PREPARING))
    assert parse_switches(switches_as_json(bare)) == bare


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("current",), 1),
        (("current", "phase"), "flying"),
        (("current", "tried"), {"atS": "x", "bootId": "b"}),
        (("current", "target"), {"serveArgs": "x"}),
        (("current", "previous"), None),
        (("current", "changes"), [{"name": "x"}]),
        (("current", "changes"), 1),
        (("waiting",), {"id": "x"}),
    ],
)
def test_another_form_is_refused(place, value):
    """What is not such a document is told, not guessed."""
    document = switches_as_json(Switches(switch(P.PROVING), WANTED))
    inner = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value

    with pytest.raises(Malformed):
        parse_switches(document)
    with pytest.raises(Malformed):
        parse_switches({})


def test_selected_changes_nothing_else():
    """Put into a store, a selection leaves the fields of other versions."""
    store = OLD.put_into(Store(document={"future": 1}))

    assert Selected.of(store) == OLD
    assert NEW.put_into(store).as_json() == {
        "future": 1,
        "serveArgs": ["org/new"],
        "modelSelection": {"selection": "preset-new"},
    }


def test_what_may_still_have_to_be_served():
    """Both models of a switch under way, and the one that waits; of an old one none."""
    assert Switches(switch(P.SETTLING)).involved == (NEW, OLD)
    assert Switches(switch(P.PROVING), WANTED).involved == (NEW, OLD, OTHER)
    assert Switches(switch(P.DONE), WANTED).involved == (OTHER,)
    assert Switches(switch(P.DONE)).involved == ()
    assert Switches().involved == ()

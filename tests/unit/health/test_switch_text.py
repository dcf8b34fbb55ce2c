"""What people and programs are told of a switch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.switching import NEW, OLD, OTHER
from vllm_pkg.health.switch_text import describe_switch, switch_note, switches_json
from vllm_pkg.state.records import SettingChange
from vllm_pkg.state.switch import Selected, Switch, Switches, SwitchPhase, Waiting
from vllm_pkg.state.switch_file import SwitchProgress

AT = "2026-01-01T00:00:00+00:00"
P = SwitchPhase
SWITCH = Switch("id", NEW, OLD, AT, AT)
PROGRESS = SwitchProgress("id", "org/new", 3 * 2**28, 2**30, 1e6, 130.0, False, 9.0)  # noqa: FBT003
PREPARING = "Preparing the switch to org/new, while org/old serves."
BACK = "Going back to org/old, because the switch to org/new failed: Why."


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (P.PREPARING, PREPARING),
        (P.PREPARED, "Switching to org/new."),
        (
            P.PROVING,
            (
                "Switched to org/new, which has to prove itself; org/old comes back if"
                " it does not."
            ),
        ),
        (P.RETURNING, BACK),
        (P.SETTLING, BACK),
        (P.DONE, "The switch to org/new is done."),
        (
            P.FAILED,
            (
                "The switch to org/new was given up, and org/old has served all the"
                " time: Why."
            ),
        ),
        (P.RETURNED, "The switch to org/new was taken back: Why."),
        (P.CANCELLED, "The switch to org/new was ended: Why."),
    ],
)
def test_each_phase_has_a_sentence(phase, text):
    """The sentence of each phase stands here, word for word."""
    assert describe_switch(replace(SWITCH, phase=phase, reason="Why."), None) == text


@pytest.mark.parametrize("phase", P)
def test_what_helps_follows_the_reason(phase):
    """Where a switch failed, the hint stands behind why; not where it was ended."""
    switch = replace(SWITCH, phase=phase, reason="Why.", hint="Do so.")

    told = describe_switch(switch, None)

    failed = {P.RETURNING, P.SETTLING, P.RETURNED, P.FAILED}
    assert told.endswith(": Why. Do so.") is (phase in failed)


def test_both_reasons_are_told():
    """Where what came back fails as well, both reasons are told."""
    both = replace(SWITCH, phase=P.RETURNED, reason="Why.", return_reason="So what.")

    assert describe_switch(both, None) == (
        "The switch to org/new was taken back: Why. org/old does not run again either:"
        " So what."
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, " Downloaded: 0.8 of 1.0 GiB (75 %), about 2 min left."),
        (
            {"eta_s": 59.0},
            " Downloaded: 0.8 of 1.0 GiB (75 %), less than a minute left.",
        ),
        ({"eta_s": None}, " Downloaded: 0.8 of 1.0 GiB (75 %)."),
        (
            {"bytes_done": 2**20, "bytes_total": 2**22, "eta_s": None},
            " Downloaded: 1.0 of 4.0 MiB (25 %).",
        ),
        ({"bytes_total": 0}, " Finding out what org/new needs."),
        (
            {"is_stalled": True},
            (
                " The download stands still at 0.8 of 1.0 GiB (75 %); it is tried again"
                " by itself."
            ),
        ),
    ],
)
def test_the_progress_of_a_preparation(changes, text):
    """How far the download is follows the sentence."""
    found = describe_switch(SWITCH, replace(PROGRESS, **changes))

    assert found == PREPARING + text


@pytest.mark.parametrize("phase", P)
def test_what_has_to_be_known(phase):
    """Of a switch that is done or cancelled nothing has to be known."""
    note = switch_note(Switches(replace(SWITCH, phase=phase, reason="Why.")))

    assert (note is None) is (phase in {P.DONE, P.CANCELLED})
    assert switch_note(Switches()) is None


def test_programs_are_told_no_arguments():
    """The JSON names models and selections, and nothing that may hold a token."""
    shown = {"selection": "preset-new", "source": "org/new", "servedName": "org/new"}
    switch = replace(SWITCH, changes=(SettingChange("--max-model-len", "512"),))
    found = switches_json(Switches(switch, Waiting("w", OTHER, AT)), PROGRESS)

    assert found == {
        "current": {
            "id": "id",
            "phase": "preparing",
            "isOver": False,
            "target": shown,
            "previous": {
                "selection": "custom",
                "source": "org/old",
                "servedName": "org/old",
            },
            "requestedAt": AT,
            "changedAt": AT,
            "reason": None,
            "returnReason": None,
            "hint": None,
            "changes": [
                {"name": "--max-model-len", "value": "512", "isRemoved": False}
            ],
            "progress": {
                "id": "id",
                "repository": "org/new",
                "bytesDone": 3 * 2**28,
                "bytesTotal": 2**30,
                "bytesPerS": 1e6,
                "etaS": 130.0,
                "isStalled": False,
                "updatedS": 9.0,
            },
            "text": f"{PREPARING} Downloaded: 0.8 of 1.0 GiB (75 %), about 2 min left.",
        },
        "waiting": {
            "id": "w",
            "target": {
                "selection": "preset-other",
                "source": "org/other",
                "servedName": "org/other",
            },
            "requestedAt": AT,
        },
    }
    assert switches_json(Switches(), None) == {"current": None, "waiting": None}


def test_nothing_has_a_name_too():
    """From nothing selected, the text still is a sentence."""
    bare = replace(SWITCH, previous=Selected(()), phase=P.PROVING)
    found = switches_json(Switches(bare), PROGRESS)["current"]

    assert found["previous"] == {"selection": None, "source": None, "servedName": None}
    assert found["progress"] is None
    assert found["text"].endswith("; nothing comes back if it does not.")

"""How far a switch of models is, in sentences."""

from __future__ import annotations

import pytest

from support.portal_words import plain
from vllm_pkg.portal.switch_words import describe_failed_switch, view_switch
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts
from vllm_pkg.state.switch import SwitchPhase

EN = load_texts("en")
GIB = 1024**3
PROGRESS = {
    "bytesDone": 5.1 * GIB,
    "bytesTotal": 10.2 * GIB,
    "etaS": 125.0,
    "isStalled": False,
}


def _document(phase, progress=None, waiting=None):
    is_over = phase in {"done", "failed", "returned", "cancelled"}
    return {
        "current": {
            "phase": phase,
            "isOver": is_over,
            "target": {"selection": "custom", "servedName": "new"},
            "previous": {"selection": "custom", "servedName": "old"},
            "progress": progress,
        },
        "waiting": waiting,
    }


@pytest.mark.parametrize(
    ("phase", "progress", "sentence"),
    [
        ("preparing", None, "Preparing the switch to new. old serves meanwhile."),
        (
            "preparing",
            PROGRESS | {"bytesTotal": 0},
            "Preparing the switch to new. old serves meanwhile.",
        ),
        (
            "preparing",
            PROGRESS,
            (
                "Downloading new: 5.1 of 10.2 GiB, about 2 minutes left. old serves"
                " meanwhile."
            ),
        ),
        (
            "preparing",
            PROGRESS | {"etaS": None},
            "Downloading new: 5.1 of 10.2 GiB. old serves meanwhile.",
        ),
        (
            "preparing",
            PROGRESS | {"isStalled": True},
            (
                "The download of new stands still at 5.1 of 10.2 GiB. It is tried"
                " again by itself, and old serves meanwhile."
            ),
        ),
        ("prepared", None, "Switching to new."),
        (
            "proving",
            None,
            "Switched to new. If it does not become ready, old comes back.",
        ),
        (
            "returning",
            None,
            "Going back to old, because the switch to new did not work.",
        ),
        (
            "settling",
            None,
            "Going back to old, because the switch to new did not work.",
        ),
    ],
)
def test_each_phase_of_a_switch_has_its_sentence(phase, progress, sentence):
    """What is switched to, how far it is, and what serves meanwhile."""
    view = view_switch(EN, _document(phase, progress))

    assert view is not None
    assert plain(view.sentence) == sentence


@pytest.mark.parametrize(
    ("document", "can"),
    [
        (_document("preparing"), True),
        (_document("proving"), True),
        (_document("prepared"), False),
        (_document("settling"), False),
        (_document("settling", waiting={}), True),
    ],
)
def test_what_can_be_cancelled_is_offered(document, can):
    """The button is there where `Switches.cancelled` would do something."""
    view = view_switch(EN, document)

    assert view is not None
    assert view.can_be_cancelled is can


def test_the_download_of_a_switch_has_its_share():
    """A bar is filled as far as bytes have come; before that nobody knows."""
    with_bytes = view_switch(EN, _document("preparing", PROGRESS))
    without = view_switch(EN, _document("preparing"))

    assert with_bytes is not None
    assert without is not None
    assert with_bytes.percent == pytest.approx(50.0)
    assert without.percent is None


def test_a_switch_that_is_over_is_not_under_way():
    """No bar is shown for what is done, nor where there never was a switch."""
    assert view_switch(EN, _document("done")) is None
    assert view_switch(EN, {"current": None, "waiting": None}) is None


def test_only_a_failed_switch_is_news():
    """Given up and taken back are told; what went well is not."""
    assert describe_failed_switch(EN, {"current": None, "waiting": None}) is None
    assert describe_failed_switch(EN, _document("done")) is None
    assert describe_failed_switch(EN, _document("failed")) == (
        "The switch to new was given up. old has served all the time."
    )
    assert describe_failed_switch(EN, _document("returned")) == (
        "The switch to new was taken back. old is selected again."
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("phase", list(SwitchPhase))
def test_every_phase_is_told_or_over(language, phase):
    """No phase that a switch can be in lacks words in any language."""
    document = _document(phase.value)
    view = view_switch(load_texts(language), document)

    assert (view is None) == document["current"]["isOver"]

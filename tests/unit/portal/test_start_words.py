"""How far a start is, in sentences."""

from __future__ import annotations

import pytest

from support.portal_words import plain
from vllm_pkg.engine.phases import Phase
from vllm_pkg.portal.phase_rows import SHOWN, State, phase_rows
from vllm_pkg.portal.start_bars import Part
from vllm_pkg.portal.start_words import (
    describe_source,
    describe_start,
    load_s,
    part_name,
    phase_name,
)
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts

EN = load_texts("en")
GIB = 1024**3
START = {
    "phase": "load",
    "phasePercent": 62.0,
    "etaS": 52,
    "elapsedS": 60,
    "readyAfterS": None,
    "bytesDone": None,
    "bytesTotal": None,
    "bytesPerS": None,
    "isStalled": False,
    "phases": [
        {"phase": "prepare", "seconds": 1.2},
        {"phase": "starting", "seconds": 21.0},
    ],
}
DOWNLOAD = START | {
    "phase": "download",
    "etaS": 115,
    "bytesDone": 12.4 * GIB,
    "bytesTotal": 21.8 * GIB,
    "bytesPerS": 84 * 1024**2,
    "phases": [],
}


def _run(*, is_same=True, **seconds):
    phases = [{"phase": name, "seconds": spent} for name, spent in seconds.items()]
    return {"isSame": is_same, "phases": phases}


EARLIER = [_run(download=500.0, load=240.0), _run(load=300.0), _run(load=200.0)]


@pytest.mark.parametrize(
    ("start", "earlier", "sentence"),
    [
        (START, [], "Loading the weights: about 50 seconds until it is ready."),
        (START | {"etaS": None}, [], "Loading the weights."),
        (
            START | {"phase": "ready", "readyAfterS": 93.0},
            [],
            "Ready. The start took about 2 minutes.",
        ),
        (
            START | {"phase": "ready"},
            [],
            "Ready. The start took about 60 seconds.",
        ),
        (
            DOWNLOAD,
            [],
            (
                "Downloading 12.4 of 21.8 GiB at 84 MiB/s, about 2 minutes left; then"
                " the model is loaded."
            ),
        ),
        (
            DOWNLOAD | {"etaS": 355},
            EARLIER,
            (
                "Downloading 12.4 of 21.8 GiB at 84 MiB/s, about 2 minutes left; then"
                " about 4 minutes to load."
            ),
        ),
        (
            DOWNLOAD | {"etaS": None},
            [],
            "Downloading 12.4 of 21.8 GiB at 84 MiB/s.",
        ),
        (
            DOWNLOAD | {"isStalled": True},
            [],
            (
                "The download stands still at 12.4 of 21.8 GiB. It is tried again by"
                " itself."
            ),
        ),
        (
            DOWNLOAD | {"bytesTotal": 0},
            [],
            "Finding out what has to be downloaded.",
        ),
        (
            DOWNLOAD | {"bytesDone": None},
            [],
            "Finding out what has to be downloaded.",
        ),
        (DOWNLOAD | {"phase": "unheard-of", "etaS": None}, [], "unheard-of."),
    ],
)
def test_each_state_of_a_start_has_its_sentence(start, earlier, sentence):
    """What goes on, how much of it is done, and how long it takes still."""
    assert plain(describe_start(EN, start, earlier)) == sentence


@pytest.mark.parametrize(
    ("start", "earlier", "sentence"),
    [
        (START, EARLIER[:1], "The estimate comes from one earlier start."),
        (START, EARLIER, "The estimate comes from 3 earlier starts."),
        (
            START | {"etaS": None},
            EARLIER,
            "It takes longer than in earlier starts, so nothing is estimated.",
        ),
        (
            DOWNLOAD,
            [_run(is_same=False, load=1.0)],
            (
                "The estimate comes from the speed of the download and does not include"
                " what follows it."
            ),
        ),
        (
            START | {"etaS": None},
            [],
            (
                "There is no estimate, because this model has not been started with"
                " these settings before."
            ),
        ),
    ],
)
def test_an_estimate_says_how_it_knows(start, earlier, sentence):
    """It comes from earlier starts with the same settings, from the speed, or not."""
    assert describe_source(EN, start, earlier) == sentence


def test_the_time_after_a_download_is_the_middle_of_what_was_seen():
    """Downloads of earlier starts do not count, nor starts with other settings."""
    others = [_run(is_same=False, load=1.0)]

    assert load_s([*EARLIER, *others]) == 240.0
    assert load_s(others) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_parts_and_phases_have_names_of_their_own(language):
    """No two phases, and no two parts of a bar, are called the same."""
    texts = load_texts(language)
    phases = [phase_name(texts, phase) for phase in Phase]
    parts = [part_name(texts, part) for part in Part]

    assert len(set(phases)) == len(phases)
    assert len(set(parts)) == len(parts)


def test_each_phase_says_where_it_is():
    """What is done has its time, what goes on its percent, what was skipped says so."""
    rows = dict(zip(SHOWN, phase_rows(EN, START), strict=True))

    told = {phase: (row.state, plain(row.text)) for phase, row in rows.items()}
    assert told == {
        Phase.PREPARE: (State.DONE, "Done in 1 s"),
        Phase.DOWNLOAD: (State.SKIPPED, "Not needed"),
        Phase.STARTING: (State.DONE, "Done in 21 s"),
        Phase.LOAD: (State.NOW, "Now, 62% done"),
        Phase.COMPILE: (State.LATER, "To come"),
        Phase.CAPTURE: (State.LATER, "To come"),
        Phase.WARM_UP: (State.LATER, "To come"),
    }


def test_phases_of_another_version_do_no_harm():
    """An unknown phase, or one without a percent, leaves the rows readable."""
    unknown = phase_rows(EN, START | {"phase": "unheard-of"})
    without = phase_rows(EN, START | {"phasePercent": None})

    assert [row.state for row in unknown][-1] is State.LATER
    assert without[3].text == "Now"

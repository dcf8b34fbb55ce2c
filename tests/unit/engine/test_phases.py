"""The phases of a start, read out of recorded logs."""

from __future__ import annotations

import pytest

from support.start_logs import read_start_log
from vllm_pkg.engine.phases import Phase, Progress, advance, enter

BEGUN = Progress(Phase.STARTING, 0.0)


def follow(name):
    """Return every distinct state that a recorded log goes through."""
    seen = [BEGUN]
    for at_s, line in read_start_log(name):
        progress = advance(seen[-1], line, at_s)
        if progress != seen[-1]:
            seen.append(progress)
    return seen


@pytest.mark.parametrize(
    ("name", "finished", "last"),
    [
        (
            "cpu",
            [("starting", 139.36), ("load", 2.94), ("compile", 64.45)],
            ("warm-up", 206.752),
        ),
        (
            "gpu",
            [
                ("starting", 30.0),
                ("load", 20.0),
                ("compile", 22.0),
                ("capture", 8.0),
            ],
            ("warm-up", 80.0),
        ),
    ],
)
def test_recorded_starts_have_their_phases(name, finished, last):
    """A real CPU log and one in a GPU build's words give each phase with its time."""
    end = follow(name)[-1]

    told = [(phase.value, round(seconds, 2)) for phase, seconds in end.finished]
    assert told == finished
    assert (end.phase.value, end.since_s) == last
    assert end.phase_percent == 100.0


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_nothing_goes_back(name):
    """Phases come in their order, and the percent within one only grows."""
    order = list(Phase)
    steps = [
        (order.index(item.phase), item.phase_percent or 0.0) for item in follow(name)
    ]

    assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("Loading safetensors checkpoint shards:  42% Completed | 5/12", 42.0),
        ("Multi-thread loading shards:   8% Completed | 1/12", 8.0),
        ("Loading safetensors using Runai Model Streamer: 100% Completed |", 100.0),
        ("Loading pt checkpoint shards: 999% Completed | 1/1", 100.0),
        ("Loading weights took 3.10 seconds", 100.0),
    ],
)
def test_loading_has_the_percent_of_the_bar(line, percent):
    """Whatever loader draws the bar, its percent is taken, and never more than 100."""
    loading = Progress(Phase.LOAD, 5.0, 0.0)

    assert advance(loading, line, 6.0) == Progress(Phase.LOAD, 5.0, percent)


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  50%|##", 25.0),
        ("Capturing CUDA graphs (decode, FULL):  50%|##", 75.0),
        ("Capturing CUDA graphs (FULL_AND_PIECEWISE):   0%|", 50.0),
    ],
)
def test_two_bars_of_capture_are_one_phase(line, percent):
    """The bar of the second kind of graphs goes on where the first one ended."""
    capturing = Progress(Phase.CAPTURE, 5.0)

    assert advance(capturing, line, 6.0).phase_percent == percent


@pytest.mark.parametrize(
    "line",
    ["", "a request for Loading", "Loading: 5% done", "Capturing CUDA graphs: 5%"],
)
def test_other_lines_change_nothing(line):
    """What is no mark and no bar is passed over."""
    assert advance(BEGUN, line, 9.0) is BEGUN


def test_an_earlier_phase_changes_nothing():
    """A second worker that begins to load does not take the start back."""
    warming = Progress(Phase.WARM_UP, 5.0, 40.0)

    assert advance(warming, "Starting to load model x...", 6.0) is warming


def test_a_smaller_percent_changes_nothing():
    """A second bar of the same phase, as of a draft model, starts below."""
    loading = Progress(Phase.LOAD, 5.0, 80.0)

    assert enter(loading, Phase.LOAD, 6.0, 10.0) is loading
    assert enter(loading, Phase.LOAD, 6.0) is loading


def test_a_clock_that_stands_still_gives_no_negative_time():
    """A phase that began later than now took no time."""
    ready = enter(Progress(Phase.LOAD, 5.0), Phase.READY, 4.0)

    assert ready.finished == ((Phase.LOAD, 0.0),)

"""How much of a start is done, and how long it still takes."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.phases import Phase, Progress
from vllm_pkg.engine.recorder.estimate import Estimate, estimate

# 100 s in all.
EXPECTED = {
    Phase.STARTING: 20.0,
    Phase.LOAD: 50.0,
    Phase.COMPILE: 20.0,
    Phase.WARM_UP: 10.0,
}


@pytest.mark.parametrize(
    ("progress", "now_s", "percent", "eta_s"),
    [
        # The phase began at 0 s.
        (Progress(Phase.STARTING, 0.0), 0.0, 0.0, 100.0),
        (Progress(Phase.STARTING, 0.0), 5.0, 5.0, 95.0),
        # A mark in a phase without a steady percent does not count against the time.
        (Progress(Phase.STARTING, 0.0, 70.0), 5.0, 5.0, 95.0),
        (Progress(Phase.STARTING, 0.0), 20.0, 19.8, 80.0),
        # It takes longer than it did.
        (Progress(Phase.STARTING, 0.0), 45.0, 19.8, 80.0),
        (Progress(Phase.STARTING, 0.0), 45.1, 19.8, None),
        # The bar is believed, once it has moved: 20 s for two fifths.
        (Progress(Phase.LOAD, 0.0), 25.0, 45.0, 55.0),
        (Progress(Phase.LOAD, 0.0, 5.0), 10.0, 22.5, 70.0),
        (Progress(Phase.LOAD, 0.0, 40.0), 20.0, 40.0, 60.0),
        (Progress(Phase.LOAD, 0.0, 100.0), 20.0, 70.0, 30.0),
        # A phase that there was not before.
        (Progress(Phase.CAPTURE, 0.0), 1.0, 90.0, 10.0),
        (Progress(Phase.WARM_UP, 0.0), 5.0, 95.0, 5.0),
        (Progress(Phase.WARM_UP, 0.0), 20.0, 99.0, 0.0),
        (Progress(Phase.READY, 0.0), 9.0, 100.0, 0.0),
    ],
)
def test_with_earlier_starts(progress, now_s, percent, eta_s):
    """Each phase counts with the seconds that it took, and the rest is promised."""
    told = estimate(progress, EXPECTED, now_s)

    assert told.percent == pytest.approx(percent)
    assert told.eta_s == pytest.approx(eta_s)


@pytest.mark.parametrize(
    ("progress", "percent"),
    [
        (Progress(Phase.STARTING, 0.0), 0.0),
        (Progress(Phase.STARTING, 0.0, 40.0), 10.0),
        (Progress(Phase.LOAD, 0.0, 50.0), 47.5),
        (Progress(Phase.WARM_UP, 0.0, 100.0), 99.0),
        # A download that is over was half of it.
        (Progress(Phase.LOAD, 0.0, 0.0, ((Phase.DOWNLOAD, 9.0),)), 62.5),
    ],
)
def test_without_earlier_starts_no_time_is_promised(progress, percent):
    """The percent comes from fixed shares, and there is no time that is left."""
    assert estimate(progress, {}, 500.0) == Estimate(percent, None)


def test_download_of_a_first_start():
    """Bytes give its share, of half the scale, and the time of the download alone."""
    progress = Progress(Phase.DOWNLOAD, 0.0, 30.0)

    assert estimate(progress, {}, 60.0, 140.0) == Estimate(15.0, 140.0)
    assert estimate(progress, {}, 60.0) == Estimate(15.0, None)


def test_download_with_earlier_starts():
    """It counts with its own seconds, and the time of all that follows is added."""
    progress = Progress(Phase.DOWNLOAD, 0.0, 50.0)

    told = estimate(progress, EXPECTED, 100.0, 200.0)

    # 300 s of download and 100 s of start, of which half of the bytes are there.
    assert told == Estimate(37.5, 300.0)


def test_after_a_download_with_earlier_starts():
    """What the download took is part of the whole."""
    progress = Progress(Phase.STARTING, 0.0, None, ((Phase.DOWNLOAD, 100.0),))

    assert estimate(progress, EXPECTED, 10.0) == Estimate(55.0, 90.0)


def test_a_clock_that_goes_back_is_no_harm():
    """A phase that begins later than now has not begun."""
    assert estimate(Progress(Phase.STARTING, 9.0), EXPECTED, 0.0).percent == 0.0


def test_expected_phases_may_all_be_zero():
    """Nothing is divided by nothing."""
    assert estimate(Progress(Phase.LOAD, 0.0), {Phase.LOAD: 0.0}, 0.0).percent == 0.0

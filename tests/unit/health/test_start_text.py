"""How far a start is, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vllm_pkg.engine.phases import Phase
from vllm_pkg.health.download_text import Download
from vllm_pkg.health.start_text import (
    PHASE_NAMES,
    describe_start,
    left_s,
    phase_name,
)
from vllm_pkg.state.identity import ProcessIdentity
from vllm_pkg.state.records import StartRecord

NOW_S = 1000.0
START = StartRecord(
    ProcessIdentity(1, 1, "b"), 900.0, "127.0.0.1", 1, "x", updated_s=NOW_S
)
DOWNLOAD = replace(
    START,
    phase="download",
    repository="org/name",
    bytes_done=4_509_715_661,
    bytes_total=17_287_243_366,
    bytes_per_s=52_300_000.0,
    eta_s=244.0,
)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "Now: starting the engine."),
        ({"phase": "prepare"}, "Now: preparing the start."),
        (
            {"phase": "load", "phase_percent": 45.4, "percent": 62.0, "eta_s": 121.0},
            "Now: loading the weights (45 %), 62 % of the start, about 2 min left.",
        ),
        (
            {"phase": "compile", "percent": 70.2, "eta_s": 4.0},
            "Now: compiling the model, 70 % of the start, about 10 s left.",
        ),
        ({"phase": "capture"}, "Now: capturing the CUDA graphs."),
        ({"phase": "warm-up", "percent": 99.0}, "Now: warming up, 99 % of the start."),
        ({"phase": "ready", "percent": 100.0, "eta_s": 0.0}, ""),
        ({"phase": "of another version"}, ""),
    ],
)
def test_each_phase_is_one_sentence(change, text):
    """What goes on, how much of it is done and how long it takes still, as known."""
    assert describe_start(replace(START, **change), NOW_S) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {},
            (
                "Downloading org/name: 4.2 GiB of 16.1 GiB (26 %), 52.3 MB/s,"
                " about 4 min left."
            ),
        ),
        (
            {"eta_s": None, "bytes_per_s": None, "bytes_done": 0},
            "Downloading org/name: 0 MiB of 16.1 GiB (0 %), 0.0 MB/s.",
        ),
        (
            {"bytes_done": None, "bytes_total": None},
            "Downloading org/name: finding out what is needed.",
        ),
        (
            {"is_stalled": True},
            (
                "The download of org/name stands still at 4.2 GiB of 16.1 GiB (26 %)."
                " It is tried again by itself."
            ),
        ),
        (
            {"updated_s": NOW_S - 61.0},
            (
                "The download of org/name stands still at 4.2 GiB of 16.1 GiB (26 %)."
                " It is tried again by itself."
            ),
        ),
        (
            {"is_stalled": True, "bytes_total": 0, "repository": None},
            "The download of the model stands still. It is tried again by itself.",
        ),
    ],
)
def test_a_download_tells_bytes_speed_and_time(change, text):
    """One that moves is told apart from one that stands still."""
    assert describe_start(replace(DOWNLOAD, **change), NOW_S) == text


@pytest.mark.parametrize(
    ("eta_s", "words"),
    [
        (0.0, "10 s"),
        (44.0, "40 s"),
        (90.0, "90 s"),
        (91.0, "2 min"),
        (3569.0, "59 min"),
        (3600.0, "1 h 0 min"),
        (8000.0, "2 h 13 min"),
    ],
)
def test_times_are_as_exact_as_they_are_known(eta_s, words):
    """Seconds by tens, then minutes, then hours and minutes."""
    start = replace(START, phase="load", eta_s=eta_s)

    assert f"about {words} left" in describe_start(start, NOW_S)


def test_the_time_that_is_left_passes():
    """It is counted from when it was written, and does not go below nothing."""
    start = replace(START, eta_s=30.0)

    assert left_s(start, NOW_S + 10) == 20.0
    assert left_s(start, NOW_S + 50) == 0.0
    assert left_s(replace(start, updated_s=None), NOW_S) == 30.0
    assert left_s(START, NOW_S) is None


def test_a_download_without_news_does_not_move():
    """A daemon that hangs does not look like one that downloads."""
    told = Download.of_start(DOWNLOAD)
    never = Download.of_start(replace(DOWNLOAD, updated_s=None))

    assert told.is_moving(NOW_S + 60)
    assert not told.is_moving(NOW_S + 60.1)
    assert not never.is_moving(NOW_S)
    assert never.is_moving(950.0)


def test_every_phase_has_words():
    """No phase is shown by its id."""
    assert set(PHASE_NAMES) == set(Phase)
    assert phase_name("load") == "loading the weights"
    assert phase_name("else") == ""

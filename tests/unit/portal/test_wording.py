"""Amounts and times in the five languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vllm_pkg.portal import wording
from vllm_pkg.portal.texts.catalogue import LANGUAGES, load_texts

GIB = 1024**3
MIB = 1024**2
NOW = datetime(2025, 11, 28, 16, 12, 3, tzinfo=UTC)


def _in_all(function, *values):
    """What a function says in each language, with plain spaces."""
    return [
        function(load_texts(language), *values)
        .replace("\N{NO-BREAK SPACE}", " ")
        .replace("\N{NARROW NO-BREAK SPACE}", " ")
        for language in LANGUAGES
    ]


def _english(function, *values):
    return _in_all(function, *values)[0]


def test_sizes_in_all_languages():
    """Sizes have one decimal, with the sign and the unit of the language."""
    assert _in_all(wording.size, 12.44 * GIB) == [
        "12.4 GiB",
        "12,4 GiB",
        "12,4 GiB",
        "12,4 GiB",
        "12,4 Gio",
    ]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 KiB"),
        (800, "1 KiB"),
        (MIB - 1, "1 MiB"),
        (512 * MIB, "512 MiB"),
        (GIB - 1, "1.0 GiB"),
        (1234.56 * GIB, "1,234.6 GiB"),
    ],
)
def test_small_sizes_have_smaller_units(size_bytes, text):
    """Less than one GiB is told in whole MiB or KiB, and never as 1,024 of them."""
    assert _english(wording.size, size_bytes) == text


def test_sizes_that_are_known_in_gib():
    """A number of GiB reads as the same size in bytes does."""
    assert _english(wording.size_gib, 0.5) == "512 MiB"


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (12.4 * GIB, 21.8 * GIB, "12.4 of 21.8 GiB"),
        (0.2 * GIB, 21.8 * GIB, "0.2 of 21.8 GiB"),
        (3 * MIB, 40 * MIB, "3 of 40 MiB"),
        (1024, 4096, "1 of 4 KiB"),
    ],
)
def test_a_part_has_the_unit_of_the_whole(done, total, text):
    """How much of something is there is told in one unit."""
    assert _english(wording.size_of, done, total) == text


def test_parts_in_all_languages():
    """The word between part and whole is the language's."""
    assert _in_all(wording.size_of, GIB, 2 * GIB) == [
        "1.0 of 2.0 GiB",
        "1,0 de 2,0 GiB",
        "1,0 von 2,0 GiB",
        "1,0 z 2,0 GiB",
        "1,0 sur 2,0 Gio",
    ]


@pytest.mark.parametrize(
    ("rate", "text"),
    [(84.4, "84 MiB/s"), (9.96, "10 MiB/s"), (3.14, "3.1 MiB/s"), (0, "0 MiB/s")],
)
def test_speeds_have_a_decimal_where_they_are_small(rate, text):
    """A speed of ten or more is a whole number."""
    assert _english(wording.speed, rate * MIB) == text


def test_rates_in_all_languages():
    """Tokens per second are named as the language does."""
    assert _in_all(wording.tokens_per_s, 41.2) == [
        "41 tokens/s",
        "41 tokens/s",
        "41 Token/s",
        "41 tokenów/s",
        "41 tokens/s",
    ]


def test_counts_in_all_languages():
    """Thousands are separated as the language does."""
    assert _in_all(wording.count, 24576) == [
        "24,576",
        "24.576",
        "24.576",
        "24 576",
        "24 576",
    ]


def test_percent_in_all_languages():
    """The sign of percent stands where the language has it."""
    assert _in_all(wording.percent, 63.6) == ["64%", "64 %", "64 %", "64%", "64 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "a few seconds"),
        (9, "about 10 seconds"),
        (57, "about 60 seconds"),
        (89, "about 90 seconds"),
        (90, "about 2 minutes"),
        (372, "about 6 minutes"),
        (3599, "about 1 hour"),
        (3600, "about 1 hour"),
        (4800, "about 1 h 20 min"),
        (7100, "about 2 hours"),
        (86399, "about 24 hours"),
        (200000, "about 2 days"),
    ],
)
def test_durations_are_told_as_people_do(seconds, text):
    """A duration gets coarser the longer it is."""
    assert _english(wording.about, seconds) == text


def test_durations_in_all_languages():
    """Six minutes and twelve seconds, about and exactly."""
    assert _in_all(wording.about, 372) == [
        "about 6 minutes",
        "aproximadamente 6 minutos",
        "etwa 6 Minuten",
        "około 6 minut",
        "environ 6 minutes",
    ]
    assert _in_all(wording.exact, 372.3) == [
        "6 minutes 12 seconds",
        "6 minutos 12 segundos",
        "6 Minuten 12 Sekunden",
        "6 minut 12 sekund",
        "6 minutes 12 secondes",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (60, "1 minute"), (7201, "2 hours 1 second")],
)
def test_exact_durations_leave_out_what_is_nothing(seconds, text):
    """Parts that are zero are not told, but for a duration of nothing."""
    assert _english(wording.exact, seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.4, "12 s"), (59.9, "1 min 0 s"), (372, "6 min 12 s"), (4800, "1 h 20 min")],
)
def test_short_durations(seconds, text):
    """Where there is little room the units are abbreviated."""
    assert _english(wording.short, seconds) == text


@pytest.mark.parametrize(
    ("past_s", "text"),
    [(-5, "just now"), (12, "12 seconds ago"), (130, "2 minutes ago")],
)
def test_times_are_told_from_now(past_s, text):
    """A time is told by how long ago it was; one ahead, of another clock, is now."""
    then = NOW - timedelta(seconds=past_s)

    assert _english(wording.ago, then, NOW) == text


def test_times_in_all_languages():
    """Relative and exact times are written as the language does."""
    assert _in_all(wording.ago, NOW - timedelta(seconds=12), NOW) == [
        "12 seconds ago",
        "hace 12 segundos",
        "vor 12 Sekunden",
        "12 sekund temu",
        "il y a 12 secondes",
    ]
    assert _in_all(wording.instant, NOW) == [
        "November 28, 2025, 4:12:03 PM UTC",
        "28 de noviembre de 2025, 16:12:03 UTC",
        "28. November 2025, 16:12:03 UTC",
        "28 listopada 2025 16:12:03 UTC",
        "28 novembre 2025, 16:12:03 TU",
    ]

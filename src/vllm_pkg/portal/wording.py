"""Amounts, times and shares as the reader's language writes them: pure."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

if TYPE_CHECKING:
    from datetime import datetime

    from vllm_pkg.portal.texts.catalogue import Texts

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86400
# Up to here seconds are told, in tens; shorter ones are "a few".
_SECONDS_MAX_S: Final = 90
_FEW_SECONDS_S: Final = 8
_NOW_S: Final = 3
_DECIMAL: Final = "#,##0.0"
_WHOLE: Final = "#,##0"
# Of a speed below this a decimal is worth reading.
_SMALL: Final = 10
_PERCENT_MAX: Final = 100.0


def size(texts: Texts, size_bytes: float) -> str:
    """
    Return a size, such as ``12.4 GiB``; less than one GiB in MiB, or in KiB.

    Args:
        texts: The language.
        size_bytes: The size.
    """
    unit, divisor = _unit(size_bytes)
    number = _decimal(texts, size_bytes / divisor, is_whole=unit != "gib")
    return _with_unit(texts, unit, number)


def size_gib(texts: Texts, size_gib: float) -> str:
    """Return a size that is known in GiB; see `size`."""
    return size(texts, size_gib * GIB)


def size_of(texts: Texts, done_bytes: float, total_bytes: float) -> str:
    """
    Return a part of a size in the unit of the whole, such as ``12.4 of 21.8 GiB``.

    Args:
        texts: The language.
        done_bytes: The part.
        total_bytes: The whole.
    """
    unit, divisor = _unit(total_bytes)
    done, total = (
        _decimal(texts, amount / divisor, is_whole=unit != "gib")
        for amount in (done_bytes, total_bytes)
    )
    if unit == "gib":
        return texts("wording.of_gib", done=done, total=total)
    if unit == "mib":
        return texts("wording.of_mib", done=done, total=total)
    return texts("wording.of_kib", done=done, total=total)


def speed(texts: Texts, bytes_per_s: float) -> str:
    """Return a speed, such as ``84 MiB/s``, with a decimal where it is small."""
    number = bytes_per_s / MIB
    return texts("wording.mib_per_s", number=_short(texts, number))


def tokens_per_s(texts: Texts, rate: float) -> str:
    """Return a rate of tokens, such as ``41 tokens/s``."""
    return texts("wording.tokens_per_s", number=_short(texts, rate))


def count(texts: Texts, number: int) -> str:
    """Return a count with the separators of the language."""
    return format_decimal(number, locale=texts.locale)


def percent(texts: Texts, value: float) -> str:
    """Return a share, given as 0 to 100, in whole percent."""
    return format_percent(round(value) / _PERCENT_MAX, locale=texts.locale)


def about(texts: Texts, seconds: float) -> str:
    """
    Return a duration as people say it, such as ``about 6 minutes``.

    Args:
        texts: The language.
        seconds: How long, >= 0.
    """
    if seconds < _FEW_SECONDS_S:
        return texts("wording.few_seconds")
    if seconds < _SECONDS_MAX_S:
        tens = max(10, round(seconds / 10) * 10)
        return texts("wording.about_seconds", count=tens)
    if round(seconds / _MINUTE_S) < _MINUTE_S:
        return texts("wording.about_minutes", count=round(seconds / _MINUTE_S))
    if seconds < _DAY_S:
        return _about_hours(texts, seconds)
    return texts("wording.about_days", count=round(seconds / _DAY_S))


def exact(texts: Texts, seconds: float) -> str:
    """Return a duration to the second, such as ``6 minutes 12 seconds``."""
    hours, rest_s = divmod(round(seconds), _HOUR_S)
    minutes, rest_s = divmod(rest_s, _MINUTE_S)
    parts = (
        (hours, "duration-hour"),
        (minutes, "duration-minute"),
        (rest_s, "duration-second"),
    )
    told = [part for part in parts if part[0]] or [(0, "duration-second")]
    return " ".join(format_unit(*part, locale=texts.locale) for part in told)


def short(texts: Texts, seconds: float) -> str:
    """Return a duration for where there is little room, such as ``6 min 12 s``."""
    minutes, rest_s = divmod(round(seconds), _MINUTE_S)
    if not minutes:
        return texts("wording.short_seconds", seconds=rest_s)
    if minutes < _MINUTE_S:
        return texts("wording.short_minutes", minutes=minutes, seconds=rest_s)
    hours, minutes = divmod(minutes, _MINUTE_S)
    return texts("wording.short_hours", hours=hours, minutes=minutes)


def ago(texts: Texts, then: datetime, now: datetime) -> str:
    """
    Return how long ago something was, such as ``12 seconds ago``.

    Args:
        texts: The language.
        then: When it was, with its zone.
        now: The time, with its zone.
    """
    past_s = (now - then).total_seconds()
    if past_s < _NOW_S:
        return texts("wording.now")
    return format_timedelta(
        timedelta(seconds=-past_s), add_direction=True, threshold=1, locale=texts.locale
    )


def instant(texts: Texts, when: datetime) -> str:
    """Return a time to the second and with its zone, for the hover."""
    return format_datetime(when.astimezone(UTC), "long", locale=texts.locale)


def _about_hours(texts: Texts, seconds: float) -> str:
    tens = round(seconds / (10 * _MINUTE_S))
    hours, rest = divmod(tens, 6)
    if not rest:
        return texts("wording.about_hours", count=hours)
    return texts("wording.about_hours_minutes", hours=hours, minutes=10 * rest)


def _unit(size_bytes: float) -> tuple[str, int]:
    # What would be rounded to 1,024 of a unit is one of the next.
    if size_bytes >= GIB - MIB / 2:
        return "gib", GIB
    return ("mib", MIB) if size_bytes >= MIB - KIB / 2 else ("kib", KIB)


def _with_unit(texts: Texts, unit: str, number: str) -> str:
    if unit == "gib":
        return texts("wording.gib", number=number)
    if unit == "mib":
        return texts("wording.mib", number=number)
    return texts("wording.kib", number=number)


def _decimal(texts: Texts, number: float, *, is_whole: bool) -> str:
    pattern = _WHOLE if is_whole else _DECIMAL
    return format_decimal(number, pattern, locale=texts.locale)


def _short(texts: Texts, number: float) -> str:
    # What would be rounded to 10.0 is written as 10, and nothing as 0.
    return _decimal(texts, number, is_whole=not 0 < round(number, 1) < _SMALL)

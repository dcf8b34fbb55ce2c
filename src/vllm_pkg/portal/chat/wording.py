"""What the page Try it says of answers, problems and states. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from babel.numbers import format_decimal

from vllm_pkg.portal.chat.kinds import Kind
from vllm_pkg.portal.chat.problems import Problem
from vllm_pkg.portal.situation import Situation

if TYPE_CHECKING:
    from vllm_pkg.portal.chat.answer import Answer
    from vllm_pkg.portal.chat.kinds import Served
    from vllm_pkg.portal.chat.problems import EngineProblem
    from vllm_pkg.portal.texts.catalogue import Texts

_DECIMALS: Final = "#,##0.0"
_HUNDREDTHS: Final = "0.00"

# Where each situation leads to.
WAYS_OUT: Final = {
    Situation.NO_MODEL: "/models",
    Situation.STARTING: "/start",
    Situation.LOADING: "/start",
    Situation.DOWNLOADING: "/start",
    Situation.LATE: "/start",
    Situation.STOPPED: "/",
    Situation.STOPPING: "/",
    Situation.STUCK: "/logs",
    Situation.FAILED: "/",
    Situation.UNKNOWN: "/logs",
}


def headline(texts: Texts, situation: Situation, served: Served | None) -> str:
    """Return the first line of the page."""
    if situation is not Situation.READY:
        return texts(f"try.state_{situation}")
    if served is None:
        return texts("try.looking")
    return texts(f"try.kind_{served.kind}", model=served.name)


def can_ask(situation: Situation, served: Served | None) -> bool:
    """Whether something can be asked now."""
    is_known = served is not None and served.kind is not Kind.OTHER
    return is_known and situation is Situation.READY


def measures(texts: Texts, answer: Answer) -> str:
    """Return how fast an answer came, as far as that is known."""
    first_s, rate, tokens = answer.first_token_s, answer.tokens_per_s, answer.tokens
    if first_s is None or tokens is None:
        return ""
    first = format_decimal(first_s, _HUNDREDTHS, locale=texts.locale)
    if rate is None:
        return texts("try.measured_first", first=first, count=tokens)
    per_s = format_decimal(rate, _DECIMALS, locale=texts.locale)
    return texts("try.measured", first=first, rate=per_s, count=tokens)


def problem(texts: Texts, found: EngineProblem, served: Served | None) -> str:
    """Return what went wrong and what to do about it."""
    limit = served.context_tokens if served is not None else None
    if found.problem is Problem.TOO_LONG and limit is not None:
        return texts("try.problem_too_long_for", count=limit)
    return texts(f"try.problem_{found.problem}", detail=found.detail)


def similarity(texts: Texts, number: int, value: float) -> str:
    """Return how near a text is to the first one; *number* counts from 2."""
    shown = format_decimal(value, _HUNDREDTHS, locale=texts.locale)
    return texts("try.similarity", number=number, value=shown)

"""Why an engine did not answer, as far as it matters to who asked. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

DETAIL_MAX: Final = 500
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_BUSY: Final = frozenset({429, 503})
_SERVER_ERROR: Final = 500
_TEMPLATE: Final = "chat template"
_TOO_LONG: Final = (
    *("maximum context length", "exceeds model's maximum", "max_model_len"),
    *("longer than the maximum model length", "input_tokens", "max_tokens"),
)


class Problem(StrEnum):
    """What went wrong; the catalogue has a sentence for each."""

    UNREACHABLE = "unreachable"
    BROKEN_OFF = "broken_off"
    NO_ANSWER = "no_answer"
    WRONG_KEY = "wrong_key"
    NO_MODEL = "no_model"
    TOO_LONG = "too_long"
    NO_TEMPLATE = "no_template"
    BUSY = "busy"
    REFUSED = "refused"
    FAILED = "failed"


# Not frozen: a traceback is written into it as it passes context managers.
@dataclass(eq=False)
class EngineProblem(Exception):
    """
    The engine did not answer, or not to the end.

    Args:
        problem: What went wrong.
        detail: What the engine says of it; it may be empty.
    """

    problem: Problem
    detail: str = ""


def problem_of(status: int, body: str) -> EngineProblem:
    """
    Return what an answer that is an error means.

    Args:
        status: Its HTTP status.
        body: As it came.
    """
    detail = message_of(body)
    if status in _UNAUTHORIZED:
        return EngineProblem(Problem.WRONG_KEY, detail)
    if status == _NOT_FOUND:
        return EngineProblem(Problem.NO_MODEL, detail)
    if status in _BUSY:
        return EngineProblem(Problem.BUSY, detail)
    if status >= _SERVER_ERROR:
        return EngineProblem(Problem.FAILED, detail)
    return EngineProblem(_kind_of_refusal(detail), detail)


def message_of(body: str) -> str:
    """Return what an engine's error says, or the beginning of whatever it is."""
    try:
        document = json.loads(body)
    except ValueError:
        return body.strip()[:DETAIL_MAX]
    return _message(document)[:DETAIL_MAX]


def _message(document: Any) -> str:
    if isinstance(document, dict):
        for name in ("error", "message", "detail"):
            if document.get(name):
                return _message(document[name])
    return document if isinstance(document, str) else json.dumps(document)


def _kind_of_refusal(detail: str) -> Problem:
    if _TEMPLATE in detail.lower():
        return Problem.NO_TEMPLATE
    if any(sign in detail for sign in _TOO_LONG):
        return Problem.TOO_LONG
    return Problem.REFUSED

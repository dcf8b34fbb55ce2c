"""
What is wrong with one name or one value of an option: pure, one sentence each.

Sentences follow the name of the option, and never hold a value: it may be a token.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from vllm_pkg.engine.options import Kind
from vllm_pkg.engine.reserved import (
    ALLOWED_VALUES,
    RESERVED_OPTIONS,
    json_pairs,
    reserved_pair_problem,
    reserved_value_problem,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.engine.options import Option


def name_problem(name: str, options: Mapping[str, Option]) -> str | None:
    """
    Return what is wrong with the name of an option, or None.

    Args:
        name: As vLLM reads it: with ``-`` for ``_``, without value and dotted part.
        options: The table, from `load_options`.
    """
    word = first_word(name)
    known = options.get(word)
    exact = known.name if known else word
    if exact in RESERVED_OPTIONS:
        meant = "" if exact == word else f"(which is {exact}) "
        return f"{meant}is reserved: {RESERVED_OPTIONS[exact]}"
    if known:
        is_whole = word == name
        return None if is_whole else "stands in one argument with more; separate them"
    if not word.strip("-"):
        return "is not possible here; leave it out"
    names = (*options, *RESERVED_OPTIONS)
    starting = [other for other in names if other.startswith(word)]
    meant_by = [
        options[other].name if other in options else other for other in starting
    ]
    if meant_by and all(meaning in RESERVED_OPTIONS for meaning in meant_by):
        exact = meant_by[0]
        return f"(which is {exact}) is reserved: {RESERVED_OPTIONS[exact]}"
    return f"is not an option of this vLLM; {_suggestion(word, starting, options)}"


def first_word(name: str) -> str:
    """Return a name up to the first space, behind which a value may stand."""
    return re.split(r"\s", name, maxsplit=1)[0]


def value_problem(option: Option, value: str) -> str | None:
    """Return what is wrong with a value, as far as it is ours to say, or None."""
    allowed = ALLOWED_VALUES.get(option.name)
    if allowed is not None and value not in allowed:
        return f"only {', '.join(allowed)} can be chosen"
    if not option.is_object:
        return reserved_value_problem(option.name, value)
    try:
        _, pairs = json_pairs(value)
    except ValueError as error:
        # vLLM reads the two as "not given", and some options take any text.
        if value in {"", "None"} or option.kind is Kind.JSON_OR_TEXT:
            return None
        return f"its value is no JSON: {error}"
    return reserved_pair_problem(option.name, pairs)


def dotted_problem(option: Option, keys: str, value: str) -> str | None:
    """
    Return what is wrong with one part of a JSON value, or None.

    Args:
        option: It takes a JSON object.
        keys: What follows the first dot of the name, such as ``a.b`` or ``a.b+``.
        value: The value, as text; vLLM reads it as JSON where it is JSON.
    """
    try:
        document, pairs = json_pairs(value)
    except ValueError:
        document, pairs = value, []
    *outer, last = keys.removesuffix("+").split(".")
    whole = [*((key, None) for key in outer), (last, document)]
    return reserved_pair_problem(option.name, [*whole, (last, value), *pairs])


def is_passable(argument: str) -> bool:
    """Whether the kernel can hand an argument to a program."""
    try:
        return b"\0" not in argument.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


def _suggestion(word: str, starting: list[str], options: Mapping[str, Option]) -> str:
    allowed = [
        name for name, option in options.items() if option.name not in RESERVED_OPTIONS
    ]
    candidates = [name for name in starting if name in allowed]
    similar = candidates or difflib.get_close_matches(word, allowed, n=1)
    return f"did you mean {similar[0]}?" if similar else "leave it out"

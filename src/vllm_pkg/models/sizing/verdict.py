"""
The answer: runs, runs with one change, or does not run. Pure.

Changes are tried one at a time, the least intrusive first: a share of memory that the
cards can give, up to vLLM's usual one; a shorter context that is still long; more of
the cards that are there; a KV cache in 8 bits; a short context; nearly all the memory
of the cards; no graphs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing import arguments as options
from vllm_pkg.models.sizing.estimate import CONTEXT_MIN_TOKENS, Problem, estimate
from vllm_pkg.models.sizing.machine import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.models.sizing.arguments import ServeArguments
    from vllm_pkg.models.sizing.estimate import Estimate, Situation

# A context of so many tokens is enough for most work.
CONTEXT_LONG_TOKENS: Final = 8192
_ROUND_TOKENS: Final = 1024
_ROUND_BYTES: Final = 64 * 1024**2
_SHARE_MIN: Final = 0.1
# Beyond it nothing is left for what comes and goes.
_SHARE_MAX: Final = 0.97
_FP8: Final = "fp8"


class Verdict(StrEnum):
    """The four answers."""

    RUNS = "runs"
    RUNS_WITH_CHANGE = "runs-with-change"
    DOES_NOT_RUN = "does-not-run"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Change:
    """
    One change to the arguments.

    Args:
        option: Such as ``--max-model-len``.
        value: Such as ``24576``; None for an option without a value.
    """

    option: str
    value: str | None

    @property
    def text(self) -> str:
        """How it is written on a command line."""
        return self.option if self.value is None else f"{self.option} {self.value}"


# Mostly one change; two where none alone is enough.
Remedy = tuple[Change, ...]


@dataclass(frozen=True)
class Decision:
    """
    The answer and what it rests on.

    Args:
        verdict: Never `Verdict.UNKNOWN`: what is not known does not get here.
        estimate: With the arguments as they are.
        remedies: What would help, the least intrusive first; empty when nothing is
            needed or nothing helps.
        changed: The estimate with the first of them; else None.
        shortfall_bytes: When it does not run: what each card lacks at the least.
        shortfall_cards: On how many cards that is.
    """

    verdict: Verdict
    estimate: Estimate
    remedies: tuple[Remedy, ...] = ()
    changed: Estimate | None = None
    shortfall_bytes: int = 0
    shortfall_cards: int = 0


def decide(situation: Situation, arguments: ServeArguments) -> Decision:
    """
    Decide whether a model runs.

    Args:
        situation: The model and the machine.
        arguments: What was asked for.
    Raises:
        NotKnown: an argument leads where the estimate cannot follow.
    """
    asked = estimate(situation, arguments)
    if asked.problem is None:
        return Decision(Verdict.RUNS, asked)
    remedies = _single(situation, arguments, asked) or _double(
        situation, arguments, asked
    )
    if remedies:
        first = next(iter(remedies.values()))
        return Decision(Verdict.RUNS_WITH_CHANGE, asked, tuple(remedies), first)
    lacking, cards = _shortfall(situation, arguments)
    return Decision(
        Verdict.DOES_NOT_RUN, asked, shortfall_bytes=lacking, shortfall_cards=cards
    )


Candidate = tuple[Change, "ServeArguments"]


def _single(
    situation: Situation, arguments: ServeArguments, asked: Estimate
) -> dict[Remedy, Estimate]:
    """Return the single changes that help."""
    helping: dict[Remedy, Estimate] = {}
    for change, changed in _candidates(situation, arguments, asked):
        result = estimate(situation, changed)
        if result.problem is None:
            helping.setdefault((change,), result)
    return helping


def _double(
    situation: Situation, arguments: ServeArguments, asked: Estimate
) -> dict[Remedy, Estimate]:
    """Return the first pair of changes that helps, where no single one does."""
    for change, changed in _candidates(situation, arguments, asked):
        more = _single(situation, changed, estimate(situation, changed))
        if more:
            second, result = next(iter(more.items()))
            return {(change, *second): result}
    return {}


def _candidates(
    situation: Situation, arguments: ServeArguments, asked: Estimate
) -> Iterator[Candidate]:
    shorter = list(_shorter(situation, arguments, asked))
    usual = max(arguments.utilization, options.UTILIZATION_DEFAULT)
    yield from _other_share(situation, arguments, usual)
    yield from _other_cache(situation, arguments, asked)
    yield from (one for one in shorter if _is_long(one[1]))
    yield from _more_cards(situation, arguments)
    if situation.machine.has_fp8_cache and arguments.cache_dtype == options.AUTO:
        yield (
            Change(options.CACHE_DTYPE, _FP8),
            replace(arguments, cache_dtype=_FP8),
        )
    yield from shorter
    yield from _other_share(situation, arguments, _SHARE_MAX)
    if not arguments.is_eager and not situation.machine.is_cpu:
        yield Change(options.EAGER, None), replace(arguments, is_eager=True)


def _other_share(
    situation: Situation, arguments: ServeArguments, highest: float
) -> Iterator[Candidate]:
    """Yield the largest share of memory that the cards can give now, up to a limit."""
    machine = situation.machine
    count = arguments.cards * arguments.stages
    overhead = machine.overhead_bytes(count)
    fractions = [
        (card.free_bytes - overhead) / card.total_bytes
        for card in machine.cards[:count]
    ]
    share = math.floor(min(*fractions, highest) * 100) / 100
    if share >= _SHARE_MIN and share != arguments.utilization:
        changed = replace(arguments, utilization=share)
        yield Change(options.UTILIZATION, f"{share:g}"), changed


def _other_cache(
    situation: Situation, arguments: ServeArguments, asked: Estimate
) -> Iterator[Candidate]:
    """Yield another size of the KV cache, where its size is given."""
    given = arguments.cache_bytes or situation.cpu_cache_bytes
    if given is None:
        return
    fixed = asked.weights_bytes + asked.reserve_bytes
    room = (asked.free_bytes - fixed) // _ROUND_BYTES * _ROUND_BYTES
    # At least one sequence, and no less than was given if there is room for it.
    size = min(max(given, math.ceil(asked.needed_bytes / GIB) * GIB), room)
    if size >= asked.needed_bytes and size != given:
        changed = replace(arguments, cache_bytes=size)
        yield Change(options.CACHE_BYTES, str(size)), changed


def _shorter(
    situation: Situation, arguments: ServeArguments, asked: Estimate
) -> Iterator[Candidate]:
    """Yield the longest context that fits, in steps of 1024 tokens."""
    limit = situation.architecture.context_tokens
    if asked.problem is Problem.LENGTH and limit is not None:
        yield _with_context(arguments, limit)
    highest = min(limit or asked.context_tokens, asked.context_tokens)
    fitting, beyond = 0, highest // _ROUND_TOKENS + 1
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        _, changed = _with_context(arguments, middle * _ROUND_TOKENS)
        if estimate(situation, changed).problem is None:
            fitting = middle
        else:
            beyond = middle
    if fitting:
        yield _with_context(arguments, fitting * _ROUND_TOKENS)


def _with_context(arguments: ServeArguments, tokens: int) -> Candidate:
    changed = replace(arguments, context_tokens=tokens, is_context_automatic=False)
    return Change(options.MAX_MODEL_LEN, str(tokens)), changed


def _more_cards(situation: Situation, arguments: ServeArguments) -> Iterator[Candidate]:
    """Yield other numbers of cards that can share the model, the smallest first."""
    available = len(situation.machine.cards) // arguments.stages
    for cards in range(1, available + 1):
        if cards != arguments.cards and situation.architecture.splits_over(cards):
            changed = replace(arguments, cards=cards)
            yield Change(options.TENSOR_PARALLEL, str(cards)), changed


def _is_long(arguments: ServeArguments) -> bool:
    return (arguments.context_tokens or 0) >= CONTEXT_LONG_TOKENS


def _shortfall(situation: Situation, arguments: ServeArguments) -> tuple[int, int]:
    """Return what each card lacks at the least, with a short context, and how many."""
    limit = situation.architecture.context_tokens or CONTEXT_MIN_TOKENS
    largest = replace(arguments, utilization=_SHARE_MAX, stages=1)
    _, smallest = _with_context(largest, min(limit, CONTEXT_MIN_TOKENS))
    found = []
    for cards in range(1, len(situation.machine.cards) + 1):
        if situation.architecture.splits_over(cards):
            result = estimate(situation, replace(smallest, cards=cards))
            wanted = result.weights_bytes + result.reserve_bytes + result.needed_bytes
            given = min(result.free_bytes, result.budget_bytes)
            found.append((wanted - given, cards))
    lacking, cards = min(found)
    return max(0, lacking), cards

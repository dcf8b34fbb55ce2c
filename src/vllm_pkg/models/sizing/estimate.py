"""
What a model needs and gets on each card, with given arguments. Pure.

Source: vLLM 0.32, v1/worker/utils.py (request_memory), v1/worker/gpu_worker.py
(determine_available_memory) and v1/worker/cpu_worker.py, in the order of their checks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing.planning import plan_for, value_bytes
from vllm_pkg.models.sizing.reserve import plan_step, reserve_bytes
from vllm_pkg.models.sizing.unknown import NotKnown
from vllm_pkg.models.sizing.weights import card_bytes

if TYPE_CHECKING:
    from vllm_pkg.models.sizing.architecture import Architecture
    from vllm_pkg.models.sizing.arguments import ServeArguments
    from vllm_pkg.models.sizing.cache_plan import CachePlan
    from vllm_pkg.models.sizing.machine import Card, Machine

# With less, no prompt of an application fits in.
CONTEXT_MIN_TOKENS: Final = 1024
# What vLLM takes when neither the config nor anybody says it.
_CONTEXT_UNSAID_TOKENS: Final = 2048


class Problem(StrEnum):
    """Why vLLM would not start, in the order of its checks."""

    LENGTH = "length"
    CARDS = "cards"
    SPLIT = "split"
    BUSY = "busy"
    MEMORY = "memory"
    CACHE = "cache"


@dataclass(frozen=True)
class Correction:
    """
    What earlier starts on this machine taught.

    Args:
        weights_factor: Measured over predicted weights.
        reserve_bytes: What is needed beside them more than predicted, or less.
        cache_factor: Measured over predicted bytes of the cache per token.
        is_learned: Whether there was a start to learn from.
    """

    weights_factor: float = 1.0
    reserve_bytes: int = 0
    cache_factor: float = 1.0
    is_learned: bool = False


@dataclass(frozen=True)
class Situation:
    """
    A model on a machine.

    Args:
        architecture: The model.
        weights_bytes: Its weights in memory, over all cards.
        machine: Where it is to run.
        cpu_cache_bytes: Memory that the package gives the KV cache on a CPU; None
            where vLLM decides.
        correction: What was learned.
    """

    architecture: Architecture
    weights_bytes: int
    machine: Machine
    cpu_cache_bytes: int | None = None
    correction: Correction = field(default_factory=Correction)


@dataclass(frozen=True)
class Estimate:
    """
    What one card needs and gets; of unequal cards, the one that has least.

    Args:
        cards: How many are used.
        context_tokens: Longest sequence.
        weights_bytes: Weights on a card.
        reserve_bytes: What is needed beside weights and cache.
        free_bytes: What vLLM would find free.
        budget_bytes: What it may take of it.
        cache_bytes: What is left of that for the KV cache; below 0 when it is too
            little already.
        needed_bytes: What the KV cache needs for one sequence of that length.
        token_bytes: What each further token takes of it.
        capacity_tokens: Tokens that the KV cache holds; None without one.
        problem: Why it would not start; None when it would.
        missing_bytes: By how much memory falls short, on each card.
    """

    cards: int
    context_tokens: int
    weights_bytes: int
    reserve_bytes: int
    free_bytes: int
    budget_bytes: int
    cache_bytes: int
    needed_bytes: int
    token_bytes: float
    capacity_tokens: int | None
    problem: Problem | None
    missing_bytes: int


def estimate(situation: Situation, arguments: ServeArguments) -> Estimate:
    """
    Work out what each card needs and gets.

    Args:
        situation: The model and the machine.
        arguments: What was asked for.
    Raises:
        NotKnown: an argument leads where the estimate cannot follow.
    """
    cards = arguments.cards * arguments.stages
    if situation.machine.is_cpu and cards > 1:
        raise NotKnown("how a model is split over the processors is not known")
    context = _context(situation, arguments)
    plan = _plan(situation, arguments, context)
    weights = _weights_bytes(situation, arguments)
    reserve = _reserve_bytes(situation, arguments, context)
    worst = _worst_share(situation, arguments, weights + reserve)
    if arguments.is_context_automatic:
        fitting = plan.longest_tokens(worst.cache_bytes, context)
        context = max(fitting, min(context, CONTEXT_MIN_TOKENS))
    needed = plan.needed_bytes(context)
    problem, missing = _problem(worst, needed)
    refusal = _refusal(situation, arguments, context)
    return Estimate(
        cards=cards,
        context_tokens=context,
        weights_bytes=weights,
        reserve_bytes=reserve,
        free_bytes=worst.free_bytes,
        budget_bytes=worst.budget_bytes,
        cache_bytes=worst.cache_bytes,
        needed_bytes=needed,
        token_bytes=plan.token_bytes,
        capacity_tokens=plan.capacity_tokens(worst.cache_bytes, context),
        problem=refusal or problem,
        missing_bytes=missing,
    )


def _plan(
    situation: Situation, arguments: ServeArguments, context_tokens: int
) -> CachePlan:
    plan = plan_for(
        situation.architecture, arguments, situation.machine, context_tokens
    )
    block_bytes = round(plan.block_bytes * situation.correction.cache_factor)
    return replace(plan, block_bytes=block_bytes)


def _weights_bytes(situation: Situation, arguments: ServeArguments) -> int:
    corrected = round(situation.weights_bytes * situation.correction.weights_factor)
    return card_bytes(corrected, arguments.cards, arguments.stages)


def _reserve_bytes(
    situation: Situation, arguments: ServeArguments, context_tokens: int
) -> int:
    architecture, machine = situation.architecture, situation.machine
    step = plan_step(arguments, machine, context_tokens)
    size = value_bytes(architecture, arguments)
    predicted = reserve_bytes(architecture, arguments, machine, step, size)
    return max(0, predicted + situation.correction.reserve_bytes)


@dataclass(frozen=True)
class _Share:
    """What one card has free, may give, and has left for the cache."""

    free_bytes: int
    budget_bytes: int
    cache_bytes: int
    problem: Problem | None = None
    missing_bytes: int = 0


def _context(situation: Situation, arguments: ServeArguments) -> int:
    own = situation.architecture.context_tokens or _CONTEXT_UNSAID_TOKENS
    return arguments.context_tokens or own


def _worst_share(
    situation: Situation, arguments: ServeArguments, fixed_bytes: int
) -> _Share:
    """Return what the card has that decides: one with a problem, else the fullest."""
    cards = situation.machine.cards[: arguments.cards * arguments.stages]
    shares = [_on_card(situation, arguments, card, fixed_bytes) for card in cards]
    return min(shares, key=lambda share: (share.problem is None, share.cache_bytes))


def _on_card(
    situation: Situation, arguments: ServeArguments, card: Card, fixed_bytes: int
) -> _Share:
    """Work out what one card has left; *fixed_bytes* are weights and reserve."""
    machine = situation.machine
    free = card.free_bytes - machine.overhead_bytes(arguments.cards * arguments.stages)
    asked = math.ceil(card.total_bytes * arguments.utilization)
    given = arguments.cache_bytes
    if machine.is_cpu and given is None:
        given = situation.cpu_cache_bytes
    is_share_checked = given is None or not machine.is_cpu
    if is_share_checked and asked > free:
        left = asked - fixed_bytes if given is None else given
        return _Share(free, asked, left, Problem.BUSY, asked - free)
    if given is None:
        return _Share(free, asked, asked - fixed_bytes)
    # The size of the cache is given: the share is no limit any more.
    missing = fixed_bytes + given - free
    if missing > 0:
        return _Share(free, free, given, Problem.MEMORY, missing)
    return _Share(free, free, given)


def _refusal(
    situation: Situation, arguments: ServeArguments, context_tokens: int
) -> Problem | None:
    """Return what vLLM refuses before it looks at memory, or None."""
    architecture = situation.architecture
    limit = architecture.context_tokens
    if limit is not None and context_tokens > limit:
        return Problem.LENGTH
    if arguments.cards * arguments.stages > len(situation.machine.cards):
        return Problem.CARDS
    return None if architecture.splits_over(arguments.cards) else Problem.SPLIT


def _problem(share: _Share, needed_bytes: int) -> tuple[Problem | None, int]:
    """Return what memory does not allow, and how much is missing."""
    if share.problem is not None:
        return share.problem, share.missing_bytes
    missing = needed_bytes - share.cache_bytes
    if share.cache_bytes < 0:
        return Problem.MEMORY, missing
    return (Problem.CACHE, missing) if missing > 0 else (None, 0)

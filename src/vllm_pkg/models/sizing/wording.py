"""An assessment in words for people, and as JSON. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.sizing.estimate import Problem
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.verdict import Verdict

if TYPE_CHECKING:
    from vllm_pkg.models.sizing.assess import Assessment
    from vllm_pkg.models.sizing.estimate import Estimate, Situation
    from vllm_pkg.models.sizing.verdict import Decision, Remedy

_WHY: Final[dict[Problem | None, str]] = {
    Problem.LENGTH: "the model itself ends at {limit} tokens",
    Problem.CARDS: "this machine has fewer GPUs than that",
    Problem.SPLIT: "its heads cannot be divided by that number of GPUs",
    Problem.BUSY: "{free} of {total} GiB are free, and it would claim {budget}",
    Problem.MEMORY: "weights and what the engine needs beside them do not fit",
    Problem.CACHE: "{needed} GiB of KV cache are needed and {cache} GiB are left",
}


def describe(assessment: Assessment) -> tuple[str, ...]:
    """Return the answer as sentences, the verdict first."""
    model, decision = assessment.model, assessment.decision
    if decision is None or assessment.situation is None:
        hint = f"; {assessment.hint}" if assessment.hint else ""
        told = f"Whether {model} runs here is unknown: {assessment.reason}{hint}."
        return (told,)
    lines = [_verdict(model, decision, assessment.situation)]
    shown = decision.changed or decision.estimate
    if decision.verdict is not Verdict.DOES_NOT_RUN:
        lines += [_memory(shown, assessment.situation), _context(shown)]
    if len(decision.remedies) > 1:
        others = ", or ".join(map(remedy_text, decision.remedies[1:]))
        lines.append(f"Instead of that would do: {others}.")
    if assessment.situation.correction.is_learned:
        lines.append("Earlier starts on this machine are taken into account.")
    return (*lines, *assessment.notes)


def remedy_text(remedy: Remedy) -> str:
    """Return changes as they are written on a command line."""
    return " ".join(change.text for change in remedy)


def as_json(assessment: Assessment) -> dict[str, Any]:
    """Return the document that ``model fit --json`` prints."""
    decision = assessment.decision
    document: dict[str, Any] = {
        "model": assessment.model,
        "verdict": assessment.verdict.value,
        "message": " ".join(describe(assessment)),
        "reason": assessment.reason,
        "hint": assessment.hint,
        "origin": None if assessment.origin is None else assessment.origin.value,
        "changes": [],
        "shortfallGib": None,
        "estimate": None,
        "notes": list(assessment.notes),
    }
    if decision is not None:
        document["changes"] = [
            [{"option": one.option, "value": one.value} for one in remedy]
            for remedy in decision.remedies
        ]
        document["estimate"] = _estimate_json(decision.changed or decision.estimate)
        if decision.verdict is Verdict.DOES_NOT_RUN:
            document["shortfallGib"] = _gib(decision.shortfall_bytes)
    return document


def _verdict(model: str, decision: Decision, situation: Situation) -> str:
    if decision.verdict is Verdict.RUNS:
        return f"{model} runs here."
    why = _why(decision.estimate, situation)
    if decision.verdict is Verdict.RUNS_WITH_CHANGE:
        return f"{model} runs here with {remedy_text(decision.remedies[0])}: {why}."
    if not decision.shortfall_bytes:
        return f"{model} does not run here: {why}, and no two changes are enough."
    cards = decision.shortfall_cards
    where = f" on each of {cards} GPUs" if cards > 1 else ""
    return (
        f"{model} does not run here: {_gib(decision.shortfall_bytes)} GiB are missing"
        f"{where}, even with a short context ({why})."
    )


def _why(estimate: Estimate, situation: Situation) -> str:
    card = situation.machine.cards[0]
    return _WHY[estimate.problem].format(
        limit=situation.architecture.context_tokens,
        free=_gib(max(0, estimate.free_bytes)),
        total=_gib(card.total_bytes),
        budget=_gib(estimate.budget_bytes),
        needed=_gib(estimate.needed_bytes),
        cache=_gib(max(0, estimate.cache_bytes)),
    )


def _memory(estimate: Estimate, situation: Situation) -> str:
    where = "on the CPU" if situation.machine.is_cpu else situation.machine.name
    if estimate.cards > 1:
        where = f"on each of {estimate.cards} GPUs"
    return (
        f"Weights {_gib(estimate.weights_bytes)} GiB, beside them "
        f"{_gib(estimate.reserve_bytes)} GiB, KV cache {_gib(estimate.cache_bytes)} "
        f"GiB ({where})."
    )


def _context(estimate: Estimate) -> str:
    context = f"{estimate.context_tokens:,}"
    if estimate.capacity_tokens is None:
        return f"Context {context} tokens; it keeps no KV cache."
    times = estimate.capacity_tokens / estimate.context_tokens
    return (
        f"Context {context} tokens; the KV cache holds {estimate.capacity_tokens:,} "
        f"tokens, {times:.1f} such sequences."
    )


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    return {
        "gpus": estimate.cards,
        "contextTokens": estimate.context_tokens,
        "weightsGib": _gib(estimate.weights_bytes),
        "reserveGib": _gib(estimate.reserve_bytes),
        "freeGib": _gib(estimate.free_bytes),
        "budgetGib": _gib(estimate.budget_bytes),
        "kvCacheGib": _gib(estimate.cache_bytes),
        "kvCacheNeededGib": _gib(estimate.needed_bytes),
        "kvCacheBytesPerToken": round(estimate.token_bytes),
        "kvCacheTokens": estimate.capacity_tokens,
    }


def _gib(size_bytes: int) -> float:
    return round(size_bytes / GIB, 1)

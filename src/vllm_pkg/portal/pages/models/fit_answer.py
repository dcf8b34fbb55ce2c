"""The answer whether a model runs here, in sentences, with what to take over. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from babel.numbers import format_decimal

from vllm_pkg.engine.diagnosis.changes import apply_changes
from vllm_pkg.errors import as_sentence
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.models.sizing.wording import remedy_text
from vllm_pkg.portal.wording import size
from vllm_pkg.state.records import SettingChange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.engine.options import Option
    from vllm_pkg.models.sizing.assess import Assessment
    from vllm_pkg.models.sizing.estimate import Estimate, Situation
    from vllm_pkg.models.sizing.verdict import Decision, Remedy
    from vllm_pkg.portal.texts.catalogue import Texts

CONFIG: Final = "config"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Choice:
    """
    Something to take over with one click.

    Args:
        change: What it changes, as on a command line; empty for nothing.
        prefill: What Set Model's form is to begin with.
    """

    change: str
    prefill: dict[str, Any]


@dataclass(frozen=True)
class FitAnswer:
    """
    The answer for people.

    Args:
        verdict: One of the four.
        title: The answer in one sentence.
        details: What it rests on, sentence by sentence.
        foreign: What the program says in English, such as what the Hub said.
        choices: What can be taken over; the least intrusive first.
    """

    verdict: Verdict
    title: str
    details: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()


def describe_answer(
    texts: Texts,
    assessment: Assessment,
    serve_args: tuple[str, ...],
    options: Mapping[str, Option],
) -> FitAnswer:
    """
    Describe an assessment.

    Args:
        texts: The language.
        assessment: The answer.
        serve_args: What was asked about, as the acceptor returns arguments.
        options: The table, from `load_options`.
    """
    model, decision = assessment.model, assessment.decision
    if decision is None or assessment.situation is None:
        told = (assessment.reason, assessment.hint)
        return FitAnswer(
            verdict=Verdict.UNKNOWN,
            title=texts("models.fit.unknown", model=model),
            foreign=tuple(as_sentence(text) for text in told if text),
            choices=(_choice((), serve_args, options),),
        )
    situation = assessment.situation
    return FitAnswer(
        verdict=decision.verdict,
        title=_title(texts, model, decision),
        details=tuple(_details(texts, decision, situation)),
        foreign=assessment.notes,
        choices=_choices(decision, serve_args, options),
    )


def _title(texts: Texts, model: str, decision: Decision) -> str:
    if decision.verdict is Verdict.RUNS:
        return texts("models.fit.runs", model=model)
    if decision.verdict is Verdict.RUNS_WITH_CHANGE:
        change = remedy_text(decision.remedies[0])
        return texts("models.fit.with_change", model=model, change=change)
    if not decision.shortfall_bytes:
        return texts("models.fit.no_change_helps", model=model)
    missing = size(texts, decision.shortfall_bytes)
    if decision.shortfall_cards > 1:
        count = decision.shortfall_cards
        return texts(
            "models.fit.missing_on_each", model=model, missing=missing, count=count
        )
    return texts("models.fit.missing", model=model, missing=missing)


def _details(texts: Texts, decision: Decision, situation: Situation) -> list[str]:
    found = []
    if decision.estimate.problem is not None:
        found.append(_why(texts, decision.estimate, situation))
    if decision.verdict is not Verdict.DOES_NOT_RUN:
        shown = decision.changed or decision.estimate
        found += [_memory(texts, shown, situation), _context(texts, shown)]
    if situation.correction.is_learned:
        found.append(texts("models.fit.learned"))
    return found


def _why(texts: Texts, estimate: Estimate, situation: Situation) -> str:
    return texts(
        f"models.fit.why.{estimate.problem}",
        limit=situation.architecture.context_tokens,
        free=size(texts, max(0, estimate.free_bytes)),
        total=size(texts, situation.machine.cards[0].total_bytes),
        budget=size(texts, estimate.budget_bytes),
        needed=size(texts, round(estimate.needed_bytes)),
        cache=size(texts, max(0, estimate.cache_bytes)),
    )


def _memory(texts: Texts, estimate: Estimate, situation: Situation) -> str:
    places = {
        "weights": size(texts, estimate.weights_bytes),
        "reserve": size(texts, estimate.reserve_bytes),
        "cache": size(texts, estimate.cache_bytes),
    }
    if estimate.cards > 1:
        return texts("models.fit.memory_on_each", count=estimate.cards, **places)
    if situation.machine.is_cpu:
        return texts("models.fit.memory_on_cpu", **places)
    return texts("models.fit.memory_on_gpu", gpu=situation.machine.name, **places)


def _context(texts: Texts, estimate: Estimate) -> str:
    tokens = estimate.context_tokens
    if estimate.capacity_tokens is None:
        return texts("models.fit.context_alone", tokens=tokens)
    times = format_decimal(
        estimate.capacity_tokens / tokens, "#,##0.0", locale=texts.locale
    )
    return texts(
        "models.fit.context",
        tokens=tokens,
        capacity=estimate.capacity_tokens,
        times=times,
    )


def _choices(
    decision: Decision, serve_args: tuple[str, ...], options: Mapping[str, Option]
) -> tuple[Choice, ...]:
    if decision.verdict is Verdict.RUNS:
        return (_choice((), serve_args, options),)
    return tuple(_choice(item, serve_args, options) for item in decision.remedies)


def _choice(
    remedy: Remedy, serve_args: tuple[str, ...], options: Mapping[str, Option]
) -> Choice:
    changes = [SettingChange(change.option, change.value) for change in remedy]
    changed, _ = apply_changes(serve_args, (), changes, options)
    return Choice(remedy_text(remedy), custom_prefill(changed))


def custom_prefill(serve_args: Sequence[str]) -> dict[str, Any]:
    """Return an input of Set Model with these arguments as Custom."""
    value = {"args": shlex.join(serve_args), "env": []}
    return {CONFIG: {"selection": "custom", "value": value}}


def preset_prefill(preset_id: str) -> dict[str, Any]:
    """Return an input of Set Model with this preset."""
    return {CONFIG: {"selection": preset_id, "value": {}}}


def is_repository(text: str) -> bool:
    """Whether a text can name a repository of the Hub, with its owner."""
    return _REPOSITORY.fullmatch(text) is not None

"""The last failure, if it is still news, and its one-click fix: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.situation import Situation, situation_of
from vllm_pkg.portal.switch_words import describe_failed_switch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.portal.feed import Look
    from vllm_pkg.portal.texts.catalogue import Texts

_CONTEXT: Final = "--max-model-len"
# Where the last failure is what is wrong now, or the same start is tried again.
_NEWS: Final = frozenset(
    {
        *(Situation.FAILED, Situation.STUCK, Situation.LATE),
        *(Situation.STARTING, Situation.LOADING, Situation.DOWNLOADING),
    }
)


@dataclass(frozen=True)
class FailureView:
    """
    A failure as it is shown. What the program says is English here.

    Args:
        title: What failed, in the reader's language; None: ``summary`` says it.
        summary: What happened.
        explanation: What that means; empty: nothing more is known.
        hint: What to do about it.
        evidence: The line of the log that told it; empty: none.
        at: When, UTC, ISO 8601; empty: not known.
        changes: The settings that would help.
    """

    title: str | None
    summary: str
    explanation: str
    hint: str
    evidence: str
    at: str
    changes: tuple[Mapping[str, Any], ...]


def view_failure(
    texts: Texts, look: Look, *, is_recent: bool = True
) -> FailureView | None:
    """
    Return the failure that a person has to know of, or None.

    Args:
        texts: The language.
        look: What was seen.
        is_recent: Whether the last failure is of this start or of the one before it.
    """
    if look.state is None:
        return None
    failure = look.state["lastFailure"]
    if failure is not None and is_recent and situation_of(look) in _NEWS:
        return FailureView(
            title=None,
            summary=failure["summary"],
            explanation=failure["explanation"] or "",
            hint=failure["fix"] or failure["hint"],
            evidence=failure["evidence"] or "",
            at=failure["at"],
            changes=tuple(failure["changes"]),
        )
    return _failed_switch(texts, look.state["switch"])


def describe_fix(texts: Texts, changes: Sequence[Mapping[str, Any]]) -> str:
    """Return what the button that makes some changes says."""
    if len(changes) != 1:
        return texts("fix.several", count=len(changes))
    change = changes[0]
    name, value = change["name"], change["value"]
    if change.get("is_removed") or change.get("isRemoved"):
        return texts("fix.remove", name=name)
    if value is None:
        return texts("fix.add", name=name)
    if name == _CONTEXT and value.isdigit():
        return texts("fix.context", value=int(value))
    return texts("fix.set", name=name, value=value)


def _failed_switch(texts: Texts, document: Mapping[str, Any]) -> FailureView | None:
    title = describe_failed_switch(texts, document)
    if title is None:
        return None
    current = document["current"]
    return FailureView(
        title=title,
        summary=current["reason"] or "",
        explanation="",
        hint=current["hint"] or "",
        evidence="",
        at=current["changedAt"],
        changes=tuple(current["changes"]),
    )

"""What a served model can be asked for. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

CHAT_PATH: Final = "/v1/chat/completions"
COMPLETION_PATH: Final = "/v1/completions"
EMBEDDING_PATH: Final = "/v1/embeddings"
COMPLETION_TOKENS: Final = 256


class Kind(StrEnum):
    """What a model does."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    OTHER = "other"


@dataclass(frozen=True)
class Served:
    """
    The model that an engine serves.

    Args:
        name: What requests call it.
        kind: What it can be asked for.
        context_tokens: How long question and answer may be together; None: not known.
    """

    name: str
    kind: Kind
    context_tokens: int | None = None


@dataclass(frozen=True)
class AnswerSettings:
    """
    How answers are to be.

    Args:
        system: What the model is told before the conversation; empty: nothing.
        temperature: None: as the model prefers.
        max_tokens: None: as long as the context allows.
    """

    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None


def kind_of(paths: Container[str], *, has_template: bool) -> Kind:
    """
    Return what a model does.

    Args:
        paths: The paths that its engine has: vLLM offers those of its tasks only.
        has_template: Whether it knows how a conversation is written.
    """
    if CHAT_PATH in paths:
        return Kind.CHAT if has_template else Kind.COMPLETION
    return Kind.EMBEDDING if EMBEDDING_PATH in paths else Kind.OTHER


def question(
    served: Served, settings: AnswerSettings, turns: Sequence[tuple[str, str]]
) -> tuple[str, dict[str, Any]]:
    """
    Return path and body of a request for an answer.

    Args:
        served: Whom to ask.
        settings: How the answer is to be.
        turns: The conversation, role and text; of a completion only the last counts.
    """
    body: dict[str, Any] = {
        "model": served.name,
        "stream": True,
        # Counted in each piece: an answer that is stopped has its count, too.
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.max_tokens is not None:
        body["max_tokens"] = settings.max_tokens
    if served.kind is Kind.COMPLETION:
        # Without a number vLLM ends after 16 tokens.
        body.setdefault("max_tokens", COMPLETION_TOKENS)
        return COMPLETION_PATH, body | {"prompt": turns[-1][1]}
    system = [("system", settings.system)] if settings.system else []
    messages = [{"role": role, "content": text} for role, text in (*system, *turns)]
    return CHAT_PATH, body | {"messages": messages}


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the cosine of the angle between two vectors; 0 where one has no length."""
    lengths = math.hypot(*a) * math.hypot(*b)
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return max(-1.0, min(1.0, product / lengths)) if lengths else 0.0

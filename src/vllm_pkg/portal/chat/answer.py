"""An answer that comes in pieces, and how fast it comes. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from vllm_pkg.portal.chat.problems import EngineProblem, Problem, problem_of

_DATA: Final = "data:"
_DONE: Final = "[DONE]"
_SERVER_ERROR: Final = 500


@dataclass
class Answer:
    """
    What has come of an answer so far.

    Args:
        asked_s: When the question was sent, on a clock that only goes forward.
        text: The answer.
        reasoning: What the model has thought before it, where it is told apart.
        first_s: When the first piece of either came.
        last_s: When the last one came.
        tokens: How many tokens the engine has counted in it.
        finish_reason: Why it ended, in the engine's word; None: it has not ended.
    """

    asked_s: float
    text: str = ""
    reasoning: str = ""
    first_s: float | None = None
    last_s: float | None = None
    tokens: int | None = None
    finish_reason: str | None = None

    def take(self, line: str, now_s: float) -> None:
        """
        Take one line of the stream.

        Args:
            line: A line of server-sent events.
            now_s: When it came.
        Raises:
            EngineProblem: the engine tells an error in the middle of the stream.
        """
        if not line.startswith(_DATA):
            return
        data = line.removeprefix(_DATA).strip()
        if data == _DONE:
            return
        try:
            document = json.loads(data)
        except ValueError:
            raise EngineProblem(Problem.BROKEN_OFF) from None
        if not isinstance(document, dict):
            raise EngineProblem(Problem.BROKEN_OFF)
        if "error" in document:
            error = document["error"]
            code = error.get("code") if isinstance(error, dict) else None
            status = code if isinstance(code, int) else _SERVER_ERROR
            raise problem_of(status, data)
        self._take_chunk(document, now_s)

    @property
    def is_cut(self) -> bool:
        """Whether it ended because it had become as long as it may."""
        return self.finish_reason == "length"

    @property
    def first_token_s(self) -> float | None:
        """Seconds from the question to the first piece; None: there is none."""
        return None if self.first_s is None else self.first_s - self.asked_s

    @property
    def tokens_per_s(self) -> float | None:
        """
        Tokens per second after the first one; None where that says nothing.

        The first token is left out: the time until it came is that of the question.
        """
        if self.first_s is None or self.last_s is None or self.tokens is None:
            return None
        seconds = self.last_s - self.first_s
        return (self.tokens - 1) / seconds if self.tokens > 1 and seconds > 0 else None

    def _take_chunk(self, document: dict[str, Any], now_s: float) -> None:
        usage = document.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self.tokens = usage["completion_tokens"]
        for choice in document.get("choices") or ():
            delta = choice.get("delta") or {}
            thought = delta.get("reasoning") or delta.get("reasoning_content") or ""
            piece = delta.get("content") or choice.get("text") or ""
            self.reasoning += thought
            self.text += piece
            if thought or piece:
                self.first_s = now_s if self.first_s is None else self.first_s
                self.last_s = now_s
            self.finish_reason = choice.get("finish_reason") or self.finish_reason

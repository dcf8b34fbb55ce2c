"""The elements of a conversation."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from nicegui import ui
from nicegui.element import Element

from vllm_pkg.portal.chat.markup import render_answer
from vllm_pkg.portal.components.text import Text

if TYPE_CHECKING:
    from vllm_pkg.portal.chat.answer import Answer
    from vllm_pkg.portal.texts.catalogue import Texts

# Drawing takes at most this share of the time while an answer comes.
DRAWING_SHARE: Final = 0.2
DRAWN_EACH_S: Final = 0.1

STYLE: Final = """
.chat-list { display: flex; flex-direction: column; gap: 1rem; min-height: 8rem;
  max-height: 55vh; overflow-y: auto; overflow-wrap: anywhere; padding: 4px; }
.chat-turn { max-width: 75ch; }
.chat-question { align-self: flex-end; padding: 0.6rem 0.9rem; border-radius: 12px;
  white-space: pre-wrap; background: var(--vp-accent-soft); }
.chat-answer { width: 100%; }
.chat-answer p, .chat-answer ul, .chat-answer ol, .chat-answer pre, .chat-table
  { margin: 0 0 0.6rem; }
.chat-answer ul { list-style: disc; padding-left: 1.5rem; }
.chat-answer ol { list-style: decimal; padding-left: 1.75rem; }
.chat-answer pre { padding: 0.75rem; overflow-x: auto; border-radius: 8px;
  background: var(--vp-sunken); }
.chat-answer blockquote { margin: 0 0 0.6rem; padding-left: 0.75rem;
  border-left: 3px solid var(--vp-line); }
.chat-answer :is(h3, h4, h5, h6) { margin: 0.6rem 0; font-size: 1.05rem;
  font-weight: 600; line-height: 1.4; }
.chat-table { overflow-x: auto; }
.chat-answer :is(th, td) { padding: 0.25rem 0.6rem; border: 1px solid var(--vp-line);
  text-align: left; }
.chat-thought { white-space: pre-wrap; color: var(--vp-muted); }
.chat-answer summary, .chat-settings summary { display: list-item; cursor: pointer;
  min-height: 24px; list-style: disclosure-closed inside; }
details[open] > summary { list-style-type: disclosure-open; }
.chat-settings .vp-stack { padding-top: 0.75rem; }
.vp-main p:empty:not([role]) { display: none; }
"""


class Conversation(Element, component="conversation.js"):
    """
    The list of questions and answers; it stays at its end while the reader is there.

    Args:
        name: What it is called for those who cannot see it.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.classes("chat-list").props("role=log aria-live=polite tabindex=0")
        self.props["aria-label"] = name

    def go_to_end(self) -> None:
        """Show the end, wherever the reader was."""
        self.run_method("end")

    def set_busy(self, *, is_busy: bool) -> None:
        """Say whether an answer comes: it is read out once it is whole."""
        self.props(f"aria-busy={str(is_busy).lower()}")


class AnswerView:
    """
    One answer as it comes.

    Args:
        texts: The language.
    """

    def __init__(self, texts: Texts) -> None:
        with ui.element("div").classes("chat-turn chat-answer"):
            Text("span", texts("try.said_by_model")).classes("vp-visually-hidden")
            with ui.element("details") as self._thoughts:
                Text("summary", texts("try.thoughts"))
                self._thought = Text("div").classes("chat-thought")
            self._thoughts.visible = False
            self._content = ui.html("")
            self._problem = Text("p").classes("vp-bad")
            self._measures = Text("p").classes("vp-muted vp-small")
        self._drawn_at_s = 0.0
        self._cost_s = 0.0

    async def draw(self, answer: Answer, *, is_whole: bool = False) -> None:
        """
        Show what has come, not more often than the machine can bear.

        Args:
            answer: As far as it has come.
            is_whole: Whether it is over: then it is drawn in any case.
        """
        wait_s = max(DRAWN_EACH_S, self._cost_s / DRAWING_SHARE)
        began_s = time.monotonic()
        if not is_whole and began_s - self._drawn_at_s < wait_s:
            return
        self._content.content = await asyncio.to_thread(render_answer, answer.text)
        self._thoughts.visible = bool(answer.reasoning)
        self._thought.say(answer.reasoning)
        self._drawn_at_s = time.monotonic()
        self._cost_s = self._drawn_at_s - began_s

    def tell(self, measures: str, problem: str) -> None:
        """Say how fast it came, and what went wrong; either may be empty."""
        self._measures.say(measures)
        self._problem.say(problem)

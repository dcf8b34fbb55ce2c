"""The machine in one line, each part of it a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from vllm_pkg.portal import wording
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.machine_words import TokenRate, describe_memory

if TYPE_CHECKING:
    from vllm_pkg.portal.components.watching import Watch
    from vllm_pkg.portal.texts.catalogue import Texts


class MachinePart:
    """
    Memory, disk, requests and tokens per second.

    Args:
        texts: The language.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._rate = TokenRate()
        self._load: dict[str, Any] | None = None
        with (
            section(texts("home.machine")),
            ui.element("ul").classes("vp-machine-line"),
        ):
            self._memory = _Fact("/machine", "memory")
            self._disk = _Fact("/models", "storage")
            self._requests = _Fact("/machine", "sync_alt")
            self._tokens = _Fact("/try", "speed")

    def update(self, watch: Watch) -> None:
        """Show what is known now."""
        state, details = watch.look.state, watch.details
        if state is None:
            return
        texts = self._texts
        memory_gib = state["hardware"]["memoryGib"]
        earlier = details.get("earlier", ())
        self._memory.say(describe_memory(texts, memory_gib, earlier))
        free = wording.size(texts, state["disk"]["freeBytes"])
        self._disk.say(texts("home.disk", free=free))
        self._show_load(details.get("load"))

    def _show_load(self, load: dict[str, Any] | None) -> None:
        if load == self._load:
            return
        self._load = load
        if load is None:
            self._rate = TokenRate()
            self._requests.say("")
            self._tokens.say("")
            return
        self._requests.say(self._texts("home.requests", count=load["running"]))
        rate = self._rate.take(load["atS"], load["generated_tokens"])
        self._tokens.say(
            "" if rate is None else wording.tokens_per_s(self._texts, rate)
        )


class _Fact:
    """One part of the line; nothing is shown of it while it is not known."""

    def __init__(self, path: str, icon: str) -> None:
        with (
            ui.element("li") as self._item,
            ui.link(target=path).classes(replace="vp-plain"),
        ):
            ui.icon(icon).props("aria-hidden=true")
            self._text = Text("span")
        self._item.set_visibility(False)

    def say(self, text: str) -> None:
        self._text.say(text)
        self._item.set_visibility(bool(text))

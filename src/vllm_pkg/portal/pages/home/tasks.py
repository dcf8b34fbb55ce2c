"""What waits for the owner, the critical first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from vllm_pkg.errors import as_sentence
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.portal.components.buttons import Look, button
from vllm_pkg.portal.components.opening import open_action
from vllm_pkg.portal.components.section import section
from vllm_pkg.portal.components.text import Text
from vllm_pkg.portal.said import say_plainly

if TYPE_CHECKING:
    from vllm_pkg.portal.components.watching import Watch
    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts

_SET_MODEL: Final = "set-model"
_ORDER: Final = ("critical", "important", "optional")


class TasksPart:
    """
    The list of tasks; there is none while nothing waits.

    Args:
        portal: The running portal.
        texts: The language.
    """

    def __init__(self, portal: Portal, texts: Texts) -> None:
        self._portal = portal
        self._texts = texts
        self._shown: list[dict[str, Any]] = []
        with section(texts("home.tasks")) as self._card:
            self._list = ui.element("ul").classes("vp-tasks")
        self._card.set_visibility(False)

    def update(self, watch: Watch) -> None:
        """Show what waits now."""
        tasks = watch.look.state["tasks"] if watch.look.state else []
        if tasks == self._shown:
            return
        self._shown = tasks
        self._card.set_visibility(bool(tasks))
        self._list.clear()
        with self._list:
            for task in sorted(tasks, key=lambda task: _ORDER.index(task["severity"])):
                self._draw(task)

    def _draw(self, task: dict[str, Any]) -> None:
        action_id, severity = task["actionId"], task["severity"]
        name, why = self._words(task)
        with ui.element("li").classes("vp-task"):
            with ui.element("div").classes("vp-stack"):
                is_critical = severity == _ORDER[0]
                tone, icon = (
                    ("bad", "priority_high") if is_critical else ("busy", "info")
                )
                with ui.element("span").classes(f"vp-state vp-{tone}"):
                    ui.icon(icon).props("aria-hidden=true")
                    Text("span", _severity(self._texts, severity))
                Text("p", why).classes("vp-lead")
            button(
                name,
                lambda: open_action(self._portal, self._texts, action_id),
                Look.PRIMARY if is_critical else Look.SECONDARY,
            )

    def _words(self, task: dict[str, Any]) -> tuple[str, str]:
        """Return what a task is called, and why it is to be done."""
        if task["actionId"] == _SET_MODEL:
            return (
                self._texts("home.task_set_model"),
                self._texts("home.task_set_model_why"),
            )
        actions = {action.id: action.name for action in load_manifest().actions}
        name = say_plainly(self._texts, actions[task["actionId"]])
        return name, say_plainly(self._texts, as_sentence(task["reason"]))


def _severity(texts: Texts, severity: str) -> str:
    names = {
        "critical": texts("home.critical"),
        "important": texts("home.important"),
        "optional": texts("home.optional"),
    }
    return names[severity]

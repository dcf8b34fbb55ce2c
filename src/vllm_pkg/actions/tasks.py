"""What the owner has to do, as the manifest lists it and the state demands it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings


@dataclass(frozen=True)
class Task:
    """
    Something to do.

    Args:
        action_id: The action that does it.
        severity: ``critical``, ``important`` or ``optional``.
        reason: Why, one sentence without a final full stop.
    """

    action_id: str
    severity: str
    reason: str

    def as_json(self) -> dict[str, str]:
        """Return the JSON form, StartOS's."""
        return {
            "actionId": self.action_id,
            "severity": self.severity,
            "reason": self.reason,
        }


def pending_tasks(settings: Settings) -> tuple[Task, ...]:
    """
    Return what has to be done now; the model is to be chosen while none is selected.

    Raises:
        StateError: store.json is damaged or cannot be read.
    """
    is_selected = observe_store(settings).is_model_selected
    return tuple(
        Task(entry.action_id, entry.severity, entry.reason)
        for entry in load_manifest().tasks
        # The manifest knows this one condition.
        if entry.condition == "no-model-selected" and not is_selected
    )

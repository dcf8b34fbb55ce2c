"""List API Keys: which keys there are, and how they are used; never the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vllm_pkg.actions.protocol import (
    ActionInput,
    ActionOutcome,
    ActionResult,
    Group,
    Member,
    Single,
)
from vllm_pkg.engine.guard.key_list import list_keys
from vllm_pkg.state import keys

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.engine.guard.key_list import ListedKey


class ListApiKeys:
    """Lists the keys of the API."""

    id: ClassVar[str] = "list-api-keys"
    has_input: ClassVar[bool] = False

    def input(self, context: ActionContext) -> ActionInput:  # noqa: ARG002  # protocol
        """Return the empty form."""
        return ActionInput(spec={})

    def run(
        self,
        context: ActionContext,
        value: dict[str, Any],  # noqa: ARG002  # the form is empty
    ) -> ActionOutcome:
        """
        List the keys.

        Raises:
            StateError: secrets.json is damaged, or cannot be read.
        """
        listed = list_keys(context.settings, keys.now_utc())
        result = ActionResult(
            title="API Keys",
            message="Requests are written down a few seconds after they are made.",
            content=Group(tuple(Member(_name(key), _details(key)) for key in listed)),
        )
        return ActionOutcome(result)


def _name(key: ListedKey) -> str:
    return key.name if key.entry is None else f"{key.name} ({key.id})"


def _details(key: ListedKey) -> Group:
    rows = {
        "State": key.state,
        "Role": str(key.role),
        "Created": None if key.entry is None else keys.time_text(key.entry.created),
        "Ends": None if key.entry is None else keys.time_text(key.entry.expires),
        "Requests": str(key.requests),
        "Last used": keys.time_text(key.last_used),
    }
    known = {name: text for name, text in rows.items() if text is not None}
    return Group(tuple(Member(name, Single(text)) for name, text in known.items()))

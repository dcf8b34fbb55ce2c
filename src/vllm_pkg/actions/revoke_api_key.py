"""Revoke API Key: a named key is refused from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vllm_pkg.actions import forms
from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult
from vllm_pkg.state import keys

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext


class RevokeApiKey:
    """Revokes a named key; takes effect within a second."""

    id: ClassVar[str] = "revoke-api-key"
    has_input: ClassVar[bool] = True

    def input(self, context: ActionContext) -> ActionInput:
        """
        Return the form: the keys that are active now.

        Raises:
            StateError: secrets.json is damaged, or cannot be read.
        """
        active = keys.active_keys(context.settings, keys.now_utc())
        labels = {
            key.id: f"{key.name} (made {keys.time_text(key.created)})" for key in active
        }
        return ActionInput(
            {
                "key": forms.select(
                    "Key" if labels else "Key - there is none but the primary one",
                    labels,
                    default=next(iter(labels), None),
                    description=(
                        "The primary key is not listed: rotate it instead, with 0 hours"
                    ),
                )
            }
        )

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:
        """
        Revoke the key.

        Raises:
            InvalidArgument: it has ended in the meantime.
            StateError: secrets.json is damaged, or cannot be read or written.
        """
        revoked = keys.revoke_key(context.settings, value["key"], keys.now_utc())
        message = (
            f"The key {revoked.name} is refused from now on. Requests that run already "
            "are not cut."
        )
        return ActionOutcome(ActionResult("API Key Revoked", message))

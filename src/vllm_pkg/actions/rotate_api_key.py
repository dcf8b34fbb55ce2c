"""Rotate API Key: makes a new primary key; the old one may stay valid for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vllm_pkg.actions import forms
from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult, Single
from vllm_pkg.state import keys
from vllm_pkg.state.key_limits import KEEP_MAX_H

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext


class RotateApiKey:
    """Makes a new primary key and shows it; takes effect within a second."""

    id: ClassVar[str] = "rotate-api-key"
    has_input: ClassVar[bool] = True

    def input(self, context: ActionContext) -> ActionInput:  # noqa: ARG002  # protocol
        """Return the form: how long the old key stays valid."""
        return ActionInput(
            {
                "keepHours": forms.number(
                    "Keep the old key for",
                    required=True,
                    integer=True,
                    default=0,
                    min=0,
                    max=KEEP_MAX_H,
                    units="hours",
                    description=(
                        "So long both keys work. With 0 the old key stops working at "
                        "once."
                    ),
                )
            }
        )

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:
        """
        Make the key.

        Raises:
            StateError: a file is damaged, or cannot be read or written.
        """
        now = keys.now_utc()
        rotation = keys.rotate_key(context.settings, value["keepHours"], now)
        message = "This key is in force now; nothing has to be restarted."
        if rotation.previous is None:
            message += " The old key is refused."
        else:
            until = keys.time_text(rotation.previous.expires)
            message += f" The old key works until {until}."
        return ActionOutcome(
            ActionResult(
                title="API Key Rotated",
                message=message,
                content=Single(rotation.key, copyable=True, masked=True),
            )
        )

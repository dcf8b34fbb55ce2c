"""Add API Key: makes a named key, for one client, that can be revoked alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vllm_pkg.actions import forms
from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult, Single
from vllm_pkg.state import keys
from vllm_pkg.state.key_limits import EXPIRES_MAX_D
from vllm_pkg.state.secrets import Role

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext


class AddApiKey:
    """Makes a named key and shows it once; takes effect within a second."""

    id: ClassVar[str] = "add-api-key"
    has_input: ClassVar[bool] = True

    def input(self, context: ActionContext) -> ActionInput:  # noqa: ARG002  # protocol
        """Return the form: name, end and role."""
        return ActionInput(
            {
                "name": forms.text(
                    "Name",
                    required=True,
                    placeholder="laptop",
                    description="Who or what will use the key",
                    patterns=[
                        forms.Pattern(regex=keys.NAME_REGEX, description=keys.NAME_RULE)
                    ],
                ),
                "expiresDays": forms.number(
                    "Ends after",
                    required=False,
                    integer=True,
                    min=1,
                    max=EXPIRES_MAX_D,
                    units="days",
                    placeholder="never",
                    description="Left empty, the key works until it is revoked.",
                ),
                "role": forms.select(
                    "Role",
                    {
                        Role.USER: "User: inference and information",
                        Role.ADMIN: "Administrator: also what changes the engine",
                    },
                    default=Role.USER,
                ),
            }
        )

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:
        """
        Make the key.

        Raises:
            InvalidArgument: the name is taken, or there are too many keys.
            StateError: secrets.json is damaged, or cannot be read or written.
        """
        new = keys.add_key(
            context.settings,
            value["name"],
            Role(value["role"]),
            value["expiresDays"],
            keys.now_utc(),
        )
        message = (
            f"The key {new.entry.name} is in force now. Copy it: it is not stored and "
            "cannot be shown again."
        )
        if new.entry.expires is not None:
            message += f" It works until {keys.time_text(new.entry.expires)}."
        return ActionOutcome(
            ActionResult(
                title="API Key Added",
                message=message,
                content=Single(new.key, copyable=True, masked=True, is_shown_once=True),
            )
        )

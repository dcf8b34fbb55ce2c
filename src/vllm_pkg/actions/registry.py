"""The actions by id: listing them, opening their forms, running them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.actions.add_api_key import AddApiKey
from vllm_pkg.actions.apply_fix import ApplyFix, describe_offer
from vllm_pkg.actions.delete_model_cache import DeleteModelCache
from vllm_pkg.actions.get_api_credentials import GetApiCredentials
from vllm_pkg.actions.hugging_face_token import HuggingFaceToken
from vllm_pkg.actions.list_api_keys import ListApiKeys
from vllm_pkg.actions.revoke_api_key import RevokeApiKey
from vllm_pkg.actions.rotate_api_key import RotateApiKey
from vllm_pkg.actions.set_model import SetModel
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.errors import (
    InvalidArgument,
    NotAllowedInState,
    StateError,
    UnknownAction,
)
from vllm_pkg.package.manifest import load_manifest

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import (
        Action,
        ActionContext,
        ActionInput,
        ActionOutcome,
    )
    from vllm_pkg.package.manifest import ActionEntry

ACTIONS: Final[tuple[Action, ...]] = (
    GetApiCredentials(),
    SetModel(),
    ApplyFix(),
    DeleteModelCache(),
    HuggingFaceToken(),
    RotateApiKey(),
    AddApiKey(),
    ListApiKeys(),
    RevokeApiKey(),
)
_STATES: Final = {"only-running": True, "only-stopped": False}


def list_actions(context: ActionContext) -> list[dict[str, Any]]:
    """
    Return the metadata of every action, in StartOS's shape.

    Args:
        context: What decides about an action's visibility and description.
    """
    manifest = load_manifest()
    return [
        _metadata(manifest.action(action.id), action) | _presently(context, action)
        for action in ACTIONS
    ]


def action_input(context: ActionContext, action_id: str) -> ActionInput:
    """
    Compute the form of an action as it opens now.

    Raises:
        UnknownAction: there is none with that id; the hint names the most similar.
        ServiceError: the state that the form shows cannot be read.
    """
    return _find(action_id).input(context)


def run_action(context: ActionContext, action_id: str, value: Any) -> ActionOutcome:
    """
    Run an action.

    Args:
        context: What it may know.
        action_id: Which one.
        value: Its input, as parsed from JSON; None for none.
    Raises:
        UnknownAction: there is none with that id; the hint names the most similar.
        NotAllowedInState: it may not run while the service runs, or while it does not.
        InvalidArgument: the input does not fit the form as it opens now.
        ServiceError: it cannot be done.
    """
    action = _find(action_id)
    _check_state(context, load_manifest().action(action.id))
    if action.has_input:
        if value is None:
            raise InvalidArgument(
                f"{action_id} needs an input",
                hint=f"see its form: vllm-pkg action input {action_id}",
            )
        try:
            checked = validate_input(action.input(context).spec, value)
            return action.run(context, checked)
        except InvalidArgument as error:
            if not error.fields:
                raise
            message, hint = _what_to_do(error, action_id)
            raise InvalidArgument(message, hint=hint, fields=error.fields) from error
    if value:
        raise InvalidArgument(f"{action_id} takes no input", hint="leave it out")
    return action.run(context, {})


def _what_to_do(error: InvalidArgument, action_id: str) -> tuple[str, str]:
    """Return message and hint of a wrong input: one hint, the last problem's own."""
    what, separator, to_do = error.message.rpartition("; ")
    if separator and error.fields[-1].message.endswith(f"; {to_do}"):
        return what, to_do
    return error.message, f"see its form: vllm-pkg action input {action_id}"


def _find(action_id: str) -> Action:
    actions = {action.id: action for action in ACTIONS}
    if action_id in actions:
        return actions[action_id]
    similar = difflib.get_close_matches(action_id, actions, n=1)
    hint = f"did you mean {similar[0]}?" if similar else None
    raise UnknownAction(f"there is no action {action_id!r}", hint=hint)


def _check_state(context: ActionContext, entry: ActionEntry) -> None:
    needed = _STATES.get(entry.allowed_statuses)
    if needed is None or needed is context.is_running:
        return
    state, hint = ("running", "start it") if needed else ("stopped", "stop it")
    raise NotAllowedInState(
        f"{entry.name} may only run while the service is {state}",
        hint=f"{hint} first",
    )


def _presently(context: ActionContext, action: Action) -> dict[str, Any]:
    """Return what the state of the service changes in an action's metadata."""
    if action.id != ApplyFix.id:
        return {}
    try:
        offer = describe_offer(context)
    except StateError:
        # What is damaged is told by the actions that need it.
        offer = None
    return {"visibility": "hidden"} if offer is None else {"description": offer}


def _metadata(entry: ActionEntry, action: Action) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "description": entry.description,
        "warning": entry.warning,
        "visibility": entry.visibility,
        "allowedStatuses": entry.allowed_statuses,
        "group": entry.group,
        "hasInput": action.has_input,
    }

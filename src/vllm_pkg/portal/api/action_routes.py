"""``actions``: listing them, opening their forms, running them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from vllm_pkg.actions import registry
from vllm_pkg.portal.api.given import GivenSettings
from vllm_pkg.portal.api.shapes_others import (
    ActionId,
    ActionShape,
    InputShape,
    ResultShape,
    RunRequest,
)
from vllm_pkg.service.acting import act, action_context

router = APIRouter(prefix="/actions", tags=["actions"])


@router.get("", response_model=list[ActionShape])
def list_actions(settings: GivenSettings) -> list[dict[str, Any]]:
    """Return every action as it is offered now."""
    return registry.list_actions(action_context(settings))


@router.get("/{action_id}/input", response_model=InputShape)
def get_input(action_id: ActionId, settings: GivenSettings) -> dict[str, Any]:
    """Return the form of an action as it opens now."""
    return registry.action_input(action_context(settings), action_id).as_json()


@router.post("/{action_id}/run", response_model=ResultShape)
def run_action(
    action_id: ActionId, request: RunRequest, settings: GivenSettings
) -> dict[str, Any]:
    """
    Run an action; the engine is restarted when that is needed.

    With ``immediate`` a new model takes the old one's place at once, without being
    prepared while the old one serves.
    """
    result = act(settings, action_id, request.input, is_immediate=request.immediate)
    return result.as_json()

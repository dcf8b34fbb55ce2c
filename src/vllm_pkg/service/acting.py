"""Running an action, and what has to follow it: the engine takes what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.clock import BootClock
from vllm_pkg.health.probe import is_host_running
from vllm_pkg.hosts.standalone import control

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionResult
    from vllm_pkg.settings import Settings


def action_context(settings: Settings, *, is_immediate: bool = False) -> ActionContext:
    """
    Return what an action may know now.

    Args:
        settings: Settings in force.
        is_immediate: Whether what is served may be ended at once, without preparing
            what follows.
    """
    is_running = is_host_running(settings, BootClock().boot_id())
    return ActionContext(
        settings=settings, is_running=is_running, is_immediate=is_immediate
    )


def act(
    settings: Settings,
    action_id: str,
    value: Any,
    *,
    is_immediate: bool = False,
    may_restart: bool = True,
) -> ActionResult:
    """
    Run an action; the engine is restarted when that is needed.

    Args:
        settings: Settings in force.
        action_id: Which one.
        value: Its input, as parsed from JSON; None for none.
        is_immediate: Whether to restart at once, without preparing a new model while
            the old one serves.
        may_restart: Whether a running engine may be restarted at all.
    Raises:
        UnknownAction: there is none with that id.
        InvalidArgument: the input does not fit the form as it opens now.
        ServiceError: it cannot be done, or the engine was not restarted.
    """
    # A switch would restart the engine later on.
    context = action_context(settings, is_immediate=is_immediate or not may_restart)
    outcome = registry.run_action(context, action_id, value)
    if outcome.needs_restart and may_restart and control.running_host(settings):
        control.restart_engine(settings)
    return outcome.result

"""Whether a chosen model is prepared before it takes the present one's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.command import served_name
from vllm_pkg.errors import StateError
from vllm_pkg.health.checker import Result
from vllm_pkg.health.probe import check_health
from vllm_pkg.health.switch_text import switch_note
from vllm_pkg.state.store import observe_store
from vllm_pkg.state.switch_file import (
    is_fetcher_running,
    observe_switches,
    request_switch,
)

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Selected


def is_prepared_first(context: ActionContext) -> bool:
    """
    Whether the present model serves on while the new one is prepared.

    Not when nothing is served now: then waiting would only be longer, and there is
    nothing to go back to.

    Raises:
        StateError: the state is damaged or cannot be read.
    """
    settings = context.settings
    if context.is_immediate or not context.is_running:
        return False
    if not is_fetcher_running(settings, BootClock().boot_id()):
        return False
    if observe_switches(settings).is_under_way:
        return True
    return check_health(settings).result is Result.SUCCESS


def ask_for_switch(settings: Settings, target: Selected) -> str:
    """
    Ask the fetcher for a switch.

    Returns:
        Sentences that say what happens now.
    Raises:
        StateError: the request cannot be written.
    """
    old = served_name(observe_store(settings).serve_args)
    switches = request_switch(settings, target)
    if switches.waiting is not None:
        return "The switch begins as soon as the one that is under way has ended."
    return (
        f"{old} goes on serving while it is prepared, and comes back by itself if it"
        " does not start. How far it is: vllm-pkg switch status."
    )


def describe_last_switch(settings: Settings) -> str | None:
    """Return what the form says of the switch under way, or of one that failed."""
    try:
        return switch_note(observe_switches(settings))
    except StateError:
        # `switch status` tells it; a form must open all the same.
        return None

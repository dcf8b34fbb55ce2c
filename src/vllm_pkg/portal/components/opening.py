"""Opening the dialog of an action, from a button of any page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.texts.catalogue import Texts


def open_action(
    portal: Portal,
    texts: Texts,
    action_id: str,
    on_done: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """
    Open the dialog of an action; call it from an event handler.

    Args:
        portal: The running portal.
        texts: The language.
        action_id: Which action.
        on_done: Called with the result's JSON when the action has run.
    """
    # The forms are many, and most pages never open one.
    from vllm_pkg.portal.forms import action  # noqa: PLC0415

    action.open_action(portal, texts, action_id, on_done=on_done)

"""Pages that follow the state of the service for as long as they are open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import app, background_tasks, ui

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.context import Portal
    from vllm_pkg.portal.feed import Look


def the_portal() -> Portal:
    """Return the portal of this process: NiceGUI has one application in a process."""
    portal: Portal = app.state.portal
    return portal


def follow(portal: Portal, update: Callable[[Look], None]) -> None:
    """
    Call a function with what is known now, and with each change from then on.

    It is called at once while the page is built, so that nothing jumps, and ends when
    the browser has left.

    Args:
        portal: Whose state it is.
        update: Changes elements of the page in place.
    """
    client = ui.context.client
    if portal.feed.latest.number:
        update(portal.feed.latest)

    async def watch() -> None:
        async for look in portal.feed.looks():
            with client:
                update(look)

    task = background_tasks.create(watch(), name=f"follow {client.page.path}")
    client.on_delete(task.cancel)

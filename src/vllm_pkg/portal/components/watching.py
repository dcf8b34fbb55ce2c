"""What a page has to know besides the status, looked at while somebody reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nicegui import run, ui

from vllm_pkg.errors import ServiceError
from vllm_pkg.portal.components.following import follow
from vllm_pkg.portal.feed import Look

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.portal.context import Portal
    from vllm_pkg.settings import Settings

REFRESH_S: Final = 2.0


@dataclass
class Watch:
    """
    The state and the details of a page, together.

    Args:
        portal: The running portal.
        collect: Returns the details; runs in a thread, raises `ServiceError`.
        update: Called with this whenever something may have changed.
        look: What was seen last.
        details: What was collected last; empty before that, and when it failed.
    """

    portal: Portal
    collect: Callable[[Settings], dict[str, Any]]
    update: Callable[[Watch], None]
    look: Look = field(default_factory=Look)
    details: dict[str, Any] = field(default_factory=dict)

    def begin(self) -> None:
        """Follow both for as long as the page is open; call it once it is drawn."""
        follow(self.portal, self._see)
        ui.timer(REFRESH_S, self.refresh)

    async def refresh(self) -> None:
        """Collect the details now."""
        details = await run.io_bound(self._collect)
        # Nothing comes back from a portal that is shutting down.
        if details is not None:
            self.details = details
            self.update(self)

    def _see(self, look: Look) -> None:
        self.look = look
        self.update(self)

    def _collect(self) -> dict[str, Any]:
        try:
            return self.collect(self.portal.settings)
        except ServiceError:
            # What is wrong with the state, the status tells.
            return {}

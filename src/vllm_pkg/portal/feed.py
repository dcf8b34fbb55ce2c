"""The state of the service, looked at once for all who watch it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.errors import ServiceError
from vllm_pkg.service.status import collect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from vllm_pkg.settings import Settings

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
_MISTAKE: Final = {
    "code": "internal",
    "message": "the portal made a mistake",
    "hint": "see the portal's log",
}


@dataclass(frozen=True)
class Look:
    """
    What was seen at one moment.

    Args:
        number: Grows by one with each change; 0 before the first look.
        state: What `vllm_pkg.service.status.collect` tells; None while it cannot.
        error: Why there is no state, as ``{"code", "message", "hint"}``, or None.
    """

    number: int = 0
    state: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass
class StateFeed:
    """
    Looks at the service once a second, in a thread, and wakes those who wait.

    Args:
        settings: Whose state it is.
        collect: Collects it; raises `ServiceError` when it cannot.
        latest: The last look.
        looked_s: When that was, in seconds since boot.
    """

    settings: Settings
    collect: Callable[[Settings], dict[str, Any]] = collect
    latest: Look = field(default_factory=Look)
    looked_s: float = float("-inf")
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> Look:
        """Look now, and return what is seen."""
        state, error = await asyncio.to_thread(self._collect)
        self.looked_s = BootClock().now_s()
        async with self._changed:
            if (state, error) != (self.latest.state, self.latest.error):
                self.latest = Look(self.latest.number + 1, state, error)
                self._changed.notify_all()
        return self.latest

    async def looks(self) -> AsyncGenerator[Look]:
        """Yield what is known now, and then each change; slow readers skip some."""
        look = self.latest
        if not look.number:
            look = await self.look()
        while True:
            yield look
            look = await self._after(look.number)

    async def _after(self, number: int) -> Look:
        async with self._changed:
            await self._changed.wait_for(lambda: self.latest.number > number)
            return self.latest

    def _collect(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        try:
            return self.collect(self.settings), None
        except ServiceError as error:
            return None, error.as_json()["error"]
        except Exception:
            # Whoever watches is told, and the next look may succeed again.
            log.exception("The state could not be collected.")
            return None, _MISTAKE


@contextlib.asynccontextmanager
async def running(feed: StateFeed) -> AsyncGenerator[None]:
    """Run a feed for as long as the block lasts."""
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

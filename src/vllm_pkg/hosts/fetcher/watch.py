"""Whether a phase of a switch has lost its sense while it is being done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.state.store import observe_store
from vllm_pkg.state.switch import Selected
from vllm_pkg.state.switch_file import observe_switches

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.clock import Clock
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch import Switch

LOOK_S: Final = 0.5


class FetcherEnds(Exception):
    """The fetcher itself has to end now; the switch goes on in the next one."""


class SwitchWatch:
    """
    Whether to give up a phase; asked often, it looks twice a second.

    Args:
        settings: Where the files are.
        switch: The switch, in that phase.
        selected: What has to be selected all the while.
        must_end: Whether the fetcher has to end.
        clock: Boot time.
    """

    def __init__(
        self,
        settings: Settings,
        switch: Switch,
        selected: Selected,
        must_end: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.is_selection_changed = False
        self._settings = settings
        self._switch = switch
        self._selected = selected
        self._must_end = must_end
        self._clock = clock
        self._due_s = float("-inf")
        self._is_lost = False

    def __call__(self) -> bool:
        """
        Return whether to give up.

        Raises:
            FetcherEnds: the fetcher has to end.
            StateError: a file is damaged or cannot be read.
        """
        now_s = self._clock.now_s()
        if not self._is_lost and now_s >= self._due_s:
            self._due_s = now_s + LOOK_S
            return self.look()
        return self._is_lost

    def look(self) -> bool:
        """Look now, and return whether to give up; see `__call__`."""
        if self._must_end():
            raise FetcherEnds
        current = observe_switches(self._settings).current
        is_present = current is not None and (
            (current.id, current.phase) == (self._switch.id, self._switch.phase)
        )
        now = Selected.of(observe_store(self._settings))
        self.is_selection_changed = is_present and now != self._selected
        self._is_lost = self.is_selection_changed or not is_present
        return self._is_lost

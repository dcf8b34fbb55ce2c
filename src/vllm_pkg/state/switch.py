"""
A switch from one model to another: its phases, and what leads to what. Pure.

While the old model serves, the new one is prepared; then store.json is replaced, the
engine is restarted and has to prove itself; if it does not, the old selection comes
back. A switch that a crash interrupted goes on from its phase; what store.json may hold
then, and how it goes on:

===========  ==================  ===================================================
phase        store.json holds    how it goes on
===========  ==================  ===================================================
preparing    the old selection   it is prepared again, from what is there
prepared     the old or the new  the new one is written
proving      the new selection   the engine is restarted, unless it has been already
returning    the new or the old  the old one is written
settling     the old selection   the engine is restarted, unless it has been already
===========  ==================  ===================================================

Where it holds something else, somebody has selected another way, and that wins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.state.records import SettingChange
    from vllm_pkg.state.store import EnvironmentVariable, ModelSelection, Store

CANCELLED_BY_PERSON: Final = "It was cancelled."
CHANGED_ELSEWHERE: Final = "Another model was selected meanwhile."


class SwitchPhase(StrEnum):
    """How far a switch is; see the table of this module."""

    PREPARING = "preparing"
    PREPARED = "prepared"
    PROVING = "proving"
    RETURNING = "returning"
    SETTLING = "settling"
    DONE = "done"
    FAILED = "failed"
    """It could not be prepared; the old model has served all the time."""
    RETURNED = "returned"
    CANCELLED = "cancelled"


_P = SwitchPhase
MOVES: Final[Mapping[SwitchPhase, frozenset[SwitchPhase]]] = {
    _P.PREPARING: frozenset({_P.PREPARED, _P.FAILED, _P.CANCELLED}),
    _P.PREPARED: frozenset({_P.PROVING, _P.CANCELLED}),
    _P.PROVING: frozenset({_P.DONE, _P.RETURNING, _P.CANCELLED}),
    _P.RETURNING: frozenset({_P.SETTLING, _P.CANCELLED}),
    _P.SETTLING: frozenset({_P.RETURNED, _P.CANCELLED}),
    _P.DONE: frozenset(),
    _P.FAILED: frozenset(),
    _P.RETURNED: frozenset(),
    _P.CANCELLED: frozenset(),
}


class IllegalMove(ValueError):
    """A switch cannot go from its phase to that one."""


@dataclass(frozen=True)
class Selected:
    """
    What is selected: the parts of store.json that a switch replaces.

    Args:
        serve_args: Arguments after ``vllm serve``; empty: nothing is selected.
        serve_env: Environment variables of the engine.
        selection: What the form is prefilled from.
    """

    serve_args: tuple[str, ...]
    serve_env: tuple[EnvironmentVariable, ...] = ()
    selection: ModelSelection | None = None

    @classmethod
    def of(cls, store: Store) -> Selected:
        """Return what a store has selected."""
        return cls(store.serve_args, store.serve_env, store.selection)

    def put_into(self, store: Store) -> Store:
        """Return a store with this selected, and all else as it was."""
        return replace(
            store,
            serve_args=self.serve_args,
            serve_env=self.serve_env,
            selection=self.selection,
        )


@dataclass(frozen=True)
class Instant:
    """
    A moment on the boot clock.

    Args:
        at_s: Seconds since boot.
        boot_id: The kernel's id of that boot.
    """

    at_s: float
    boot_id: str


@dataclass(frozen=True)
class Switch:
    """
    One switch.

    Args:
        id: Tells it from all others.
        target: What shall be served.
        previous: What was selected when it was asked for.
        requested_at: When that was, UTC time, ISO 8601.
        changed_at: When it reached its phase, in the same form.
        phase: How far it is.
        tried: Since when store.json holds what the engine has to be restarted with;
            None before it is written.
        reason: Why the target is not served, whole sentences.
        return_reason: Why what was served before does not run either.
        hint: What to do about it, whole sentences.
        changes: The settings of the target that would help, all together.
        unknown: Fields of the file that this version does not know.
    """

    id: str
    target: Selected
    previous: Selected
    requested_at: str
    changed_at: str
    phase: SwitchPhase = SwitchPhase.PREPARING
    tried: Instant | None = None
    reason: str | None = None
    return_reason: str | None = None
    hint: str | None = None
    changes: tuple[SettingChange, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return not MOVES[self.phase]

    def moved(self, phase: SwitchPhase, at: str, **changes: Any) -> Switch:
        """
        Return it in another phase.

        Args:
            phase: The phase.
            at: UTC time, ISO 8601.
            changes: Other fields that change with it.
        Raises:
            IllegalMove: it cannot go there.
        """
        if phase not in MOVES[self.phase]:
            raise IllegalMove(f"a switch cannot go from {self.phase} to {phase}")
        return replace(self, phase=phase, changed_at=at, **changes)


@dataclass(frozen=True)
class Waiting:
    """
    A switch that was asked for while another one could not be broken off.

    Args:
        id: Tells it from all others.
        target: What shall be served.
        requested_at: When it was asked for, UTC time, ISO 8601.
        unknown: Fields of the file that this version does not know.
    """

    id: str
    target: Selected
    requested_at: str
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Switches:
    """
    The content of switch.json.

    Args:
        current: The switch that is under way, or the last one that was.
        waiting: The one that comes next.
        unknown: Fields of the file that this version does not know.
    """

    current: Switch | None = None
    waiting: Waiting | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_under_way(self) -> bool:
        """Whether a switch is not over."""
        return self.current is not None and not self.current.is_over

    @property
    def mendable(self) -> Switch | None:
        """The last switch, if its target failed and a change of settings would help."""
        current = self.current
        if current is None or self.waiting is not None or not current.changes:
            return None
        return current if current.phase in {_P.FAILED, _P.RETURNED} else None

    @property
    def involved(self) -> tuple[Selected, ...]:
        """What a switch that is under way, or waits, may still have to serve."""
        current = self.current if self.is_under_way else None
        found = () if current is None else (current.target, current.previous)
        return found if self.waiting is None else (*found, self.waiting.target)

    def requested(self, wanted: Waiting, previous: Selected) -> Switches:
        """
        Return them with one more switch asked for.

        It takes the place of one that is being prepared or waits; one that has begun to
        change what is served is ended in order first.

        Args:
            wanted: What is asked for.
            previous: What is selected now.
        """
        current = self.current
        if current is None or current.is_over or current.phase is _P.PREPARING:
            return replace(self, current=_begin(wanted, previous), waiting=None)
        return replace(self, waiting=wanted)

    def promoted(self, previous: Selected) -> Switches:
        """Return them with the waiting switch begun, once the one before is over."""
        if self.is_under_way or self.waiting is None:
            return self
        return replace(self, current=_begin(self.waiting, previous), waiting=None)

    def moved(self, from_: Switch, to: Switch) -> Switches:
        """Return them one phase on; as they are, if meanwhile somebody changed them."""
        current = self.current
        if current is None or (current.id, current.phase) != (from_.id, from_.phase):
            return self
        return replace(self, current=to)

    def cancelled(self, at: str) -> Switches | None:
        """
        Return them after a person has cancelled all of it; None: that is not possible.

        What waits is dropped. What is being prepared ends; a model that has not proved
        itself yet gives its place back to the one before.
        """
        current = self.current
        if current is not None and current.phase is _P.PREPARING:
            over = current.moved(_P.CANCELLED, at, reason=CANCELLED_BY_PERSON)
            return replace(self, current=over, waiting=None)
        if current is not None and current.phase is _P.PROVING:
            back = current.moved(_P.RETURNING, at, reason=CANCELLED_BY_PERSON)
            return replace(self, current=back, waiting=None)
        return None if self.waiting is None else replace(self, waiting=None)

    def dropped(self, at: str) -> Switches:
        """Return them after something was selected past them: that wins."""
        current = self.current
        if current is None or current.is_over:
            return replace(self, waiting=None)
        reason = " ".join(filter(None, (current.reason, CHANGED_ELSEWHERE)))
        over = current.moved(_P.CANCELLED, at, reason=reason)
        return replace(self, current=over, waiting=None)


def _begin(wanted: Waiting, previous: Selected) -> Switch:
    at = wanted.requested_at
    return Switch(wanted.id, wanted.target, previous, at, at)

"""
Doing a switch, phase by phase; each phase can be begun anew after a crash.

What stands where in each phase, and how it goes on, is the table of `state.switch`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from vllm_pkg.clock import BootClock
from vllm_pkg.errors import (
    EngineError,
    HostNotRunning,
    ServiceError,
    as_sentence,
)
from vllm_pkg.hosts.fetcher.proof import Judgement, Look, Outcome, is_since, judge
from vllm_pkg.hosts.fetcher.watch import LOOK_S, FetcherEnds, SwitchWatch
from vllm_pkg.state import records
from vllm_pkg.state.store import Store, load_store, update_store
from vllm_pkg.state.switch import (
    CHANGED_ELSEWHERE,
    Instant,
    Selected,
    Switch,
    SwitchPhase,
)
from vllm_pkg.state.switch_file import (
    load_switches,
    update_switches,
    utc_now,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.clock import Clock
    from vllm_pkg.health.checker import Result
    from vllm_pkg.hosts.fetcher.engine_host import EngineHost
    from vllm_pkg.settings import Settings

_P: Final = SwitchPhase


class SelectionChanged(Exception):
    """Somebody has selected another model, past the switch."""


class Work(Protocol):
    """What takes long, or needs an engine; tests give other work."""

    def prepare(self, switch: Switch, is_cancelled: Callable[[], bool]) -> None:
        """
        Prepare a model.

        Raises:
            ServiceError: it cannot be prepared, or was cancelled.
        """
        ...

    def find_health(self) -> Result:
        """Return the health of the API now."""
        ...

    def try_canary(self, start: records.StartRecord) -> str | None:
        """Return why the first request to an engine failed, or None."""
        ...


@dataclass
class Switcher:
    """
    Does switches.

    Args:
        settings: Settings in force.
        host: What restarts the engine.
        work: What takes long.
        log: Takes one line at a time.
        must_end: Whether the fetcher has to end.
        clock: Boot time.
        sleep: Waits for some seconds.
    """

    settings: Settings
    host: EngineHost
    work: Work
    log: Callable[[str], None]
    must_end: Callable[[], bool] = lambda: False
    clock: Clock = field(default_factory=BootClock)
    sleep: Callable[[float], None] = time.sleep

    def step(self) -> bool:
        """
        Do the next phase of the present switch.

        Returns:
            Whether there was one; False: there is nothing to do.
        Raises:
            ServiceError: it could not be done now; it may be tried again.
            FetcherEnds: the fetcher has to end.
        """
        switches = load_switches(self.settings)
        current = switches.current
        if current is None or current.is_over:
            return switches.waiting is not None and self._promote()
        phases = {
            _P.PREPARING: self._prepare,
            _P.PREPARED: self._swap,
            _P.PROVING: self._prove,
            _P.RETURNING: self._return,
            _P.SETTLING: self._settle,
        }
        phases[current.phase](current)
        return True

    def _promote(self) -> bool:
        previous = Selected.of(load_store(self.settings))
        update_switches(self.settings, lambda switches: switches.promoted(previous))
        return True

    def _prepare(self, switch: Switch) -> None:
        given_up = self._watch(switch, switch.previous)
        try:
            self.work.prepare(switch, given_up)
        except ServiceError as error:
            if self.must_end():
                raise FetcherEnds from error
            if not given_up.look():
                self._give_up(switch, error)
        else:
            if not given_up.look():
                self._move(switch, _P.PREPARED)
        if given_up.is_selection_changed:
            self._drop()

    def _give_up(self, switch: Switch, error: ServiceError) -> None:
        # Only when there is something to tell: an idle fetcher is small.
        from vllm_pkg.engine.start_failure import explain  # noqa: PLC0415

        report = explain(error, switch.target.put_into(Store()))
        self._move(
            switch,
            _P.FAILED,
            reason=as_sentence(error.message),
            hint=report.hint,
            changes=report.changes,
        )

    def _swap(self, switch: Switch) -> None:
        if self._write(switch.previous, switch.target):
            self._move(switch, _P.PROVING, tried=self._now())

    def _return(self, switch: Switch) -> None:
        if self._write(switch.target, switch.previous):
            self._move(switch, _P.SETTLING, tried=self._now())

    def _prove(self, switch: Switch) -> None:
        judged = self._bring_up(switch, switch.target)
        if judged is None:
            return
        if judged.outcome is Outcome.READY:
            self._move(switch, _P.DONE)
        else:
            self._move(
                switch,
                _P.RETURNING,
                reason=judged.reason,
                hint=judged.hint,
                changes=judged.changes,
            )

    def _settle(self, switch: Switch) -> None:
        judged = self._bring_up(switch, switch.previous)
        if judged is not None:
            # Whatever came of it: there is nothing else to go back to.
            self._move(switch, _P.RETURNED, return_reason=judged.reason)

    def _bring_up(self, switch: Switch, selected: Selected) -> Judgement | None:
        """Have the engine serve what is selected; None: it is no longer wanted."""
        watch = self._watch(switch, selected)
        if watch.look():
            if watch.is_selection_changed:
                self._drop()
            return None
        if not self._is_restarted(switch):
            try:
                self.host.restart()
            except HostNotRunning:
                pass  # the engine of the next host begins with what is selected now
            except EngineError as error:
                return Judgement(Outcome.FAILED, as_sentence(error.message))
        judged = self._await(switch, watch)
        if watch.is_selection_changed:
            self._drop()
        return judged

    def _watch(self, switch: Switch, selected: Selected) -> SwitchWatch:
        return SwitchWatch(self.settings, switch, selected, self.must_end, self.clock)

    def _is_restarted(self, switch: Switch) -> bool:
        start, failure = self._since(switch)
        return start is not None or failure is not None

    def _await(self, switch: Switch, watch: SwitchWatch) -> Judgement | None:
        began_s = self.clock.now_s()
        seen: set[object] = set()
        while not watch():
            judged = judge(self._look(switch, began_s, seen), self._limit_s)
            if judged.outcome is Outcome.READY:
                judged = self._with_canary(switch, judged)
            if judged.outcome is not Outcome.WAIT:
                return judged
            self.sleep(LOOK_S)
        return None

    @property
    def _limit_s(self) -> float:
        return self.settings.switch_timeout_s or float("inf")

    def _with_canary(self, switch: Switch, judged: Judgement) -> Judgement:
        start, _ = self._since(switch)
        # What has served before needs no test: there is nothing else to go back to.
        if switch.phase is not _P.PROVING or start is None:
            return judged
        problem = self.work.try_canary(start)
        if problem is None:
            return judged
        # An engine that goes with its host says nothing of its model.
        if not self.host.is_running():
            return Judgement(Outcome.WAIT)
        return Judgement(Outcome.FAILED, problem)

    def _look(self, switch: Switch, began_s: float, seen: set[object]) -> Look:
        result = self.work.find_health()
        start, failure = self._since(switch)
        if start is not None:
            seen.add(start.process)
            began_s = start.started_s
        return Look(
            result=result,
            start=start,
            failure=failure,
            starts=len(seen),
            waited_s=self.clock.now_s() - began_s,
            is_host_running=self.host.is_running(),
        )

    def _since(
        self, switch: Switch
    ) -> tuple[records.StartRecord | None, records.FailureRecord | None]:
        """Return the engine's start and failure, as far as they came after the swap."""
        start = records.read_start(self.settings)
        failure = records.read_failure(self.settings)
        boot_id, tried = self.clock.boot_id(), switch.tried
        if start is not None and (
            start.process.boot_id != boot_id
            or start.is_stop_intended
            or not is_since(start.started_s, boot_id, tried)
        ):
            start = None
        if failure is not None and (
            failure.boot_id != boot_id or not is_since(failure.at_s, boot_id, tried)
        ):
            failure = None
        return start, failure

    def _write(self, old: Selected, new: Selected) -> bool:
        """Select *new* in *old*'s place; return whether it is selected now."""

        def change(store: Store) -> Store:
            if Selected.of(store) not in {old, new}:
                raise SelectionChanged
            return new.put_into(store)

        try:
            update_store(self.settings, change)
        except SelectionChanged:
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        now = utc_now()
        self.log(CHANGED_ELSEWHERE)
        update_switches(self.settings, lambda switches: switches.dropped(now))

    def _now(self) -> Instant:
        return Instant(self.clock.now_s(), self.clock.boot_id())

    def _move(self, switch: Switch, phase: SwitchPhase, **changes: object) -> None:
        moved = switch.moved(phase, utc_now(), **changes)
        update_switches(self.settings, lambda switches: switches.moved(switch, moved))
        why = " ".join(filter(None, (moved.reason, moved.hint, moved.return_reason)))
        self.log(f"Switch {switch.id}: {switch.phase} -> {phase}. {why}".rstrip())

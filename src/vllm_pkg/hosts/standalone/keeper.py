"""
The keeper: an event listener of supervisord that restarts the engine.

supervisord restarts either at once and for ever, or not at all; the keeper adds delays
that grow, gives up where another start would only fail again, and keeps the evidence.
Source: supervisord.org, "Event Listener" protocol.
"""

from __future__ import annotations

import os
import random
import select
import sys
import xmlrpc.client
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.engine import processes
from vllm_pkg.engine.diagnosis.changes import fingerprint
from vllm_pkg.engine.exit_report import (
    TAIL_LINES,
    ExitReport,
    is_final_exit,
    is_passing,
    report_exit,
)
from vllm_pkg.engine.recorded_start import last_log
from vllm_pkg.engine.start_failure import selection_of
from vllm_pkg.engine.start_log import read_last_start
from vllm_pkg.errors import EngineStopError, StateError
from vllm_pkg.health.checker import Result
from vllm_pkg.health.probe import check_health
from vllm_pkg.health.watcher import next_look_s, watch_progress
from vllm_pkg.hosts.standalone.backoff import (
    FailedStarts,
    after_exit,
    is_steady,
    with_jitter,
)
from vllm_pkg.hosts.standalone.config import ENGINE, ENGINE_LOG
from vllm_pkg.hosts.standalone.evidence import keep_evidence
from vllm_pkg.hosts.standalone.log_files import last_lines
from vllm_pkg.hosts.standalone.states import (
    EngineEvent,
    EngineState,
    IllegalTransition,
    next_state,
)
from vllm_pkg.settings import load_settings
from vllm_pkg.state import atomic, records
from vllm_pkg.state.identity import is_alive
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.engine.diagnosis.changes import Selection
    from vllm_pkg.health.progress import Stall
    from vllm_pkg.settings import Settings

IDLE_WAIT_S: Final = 60.0
_EVENTS: Final = {
    "PROCESS_STATE_STARTING": EngineEvent.START,
    "PROCESS_STATE_RUNNING": EngineEvent.RUN,
    "PROCESS_STATE_STOPPING": EngineEvent.STOPPING,
    "PROCESS_STATE_STOPPED": EngineEvent.STOP,
}
_RUNNING_STATES: Final = frozenset(
    {
        *(EngineState.UNKNOWN, EngineState.UNCONFIGURED),
        *(EngineState.LOADING, EngineState.READY),
    }
)


@dataclass
class Keeper:
    """
    State of the keeper and what it does on each event.

    Args:
        settings: Settings in force.
        supervisor: supervisord's interface.
        clock: For the delays.
        state: What is known of the engine.
        selected: What this start is to serve; None when not known.
        draw: Draws a number from 0 to 1, for the delays.
    """

    settings: Settings
    supervisor: Any
    clock: Clock
    state: EngineState = EngineState.UNKNOWN
    failed: FailedStarts = field(default_factory=FailedStarts)
    was_ready: bool = False
    ready_s: float = 0.0
    due_s: float | None = None
    look_due_s: float | None = None
    is_own_start: bool = False
    selected: Selection | None = None
    draw: Callable[[], float] = random.random

    def on_event(self, name: str, payload: dict[str, str]) -> None:
        """Take one event of supervisord."""
        if name == "TICK_5":
            self.look()
        if payload.get("processname") != ENGINE:
            return
        if name == "PROCESS_STATE_EXITED":
            self.on_exited(payload.get("pid"))
        elif name in _EVENTS:
            self.step(_EVENTS[name])
        if name == "PROCESS_STATE_STARTING":
            self.on_starting()
        elif self.state is EngineState.STOPPED:
            self.due_s = None

    def step(self, event: EngineEvent) -> None:
        """Go where an event leads; one that cannot come means that we know nothing."""
        try:
            self.state = next_state(self.state, event)
        except IllegalTransition as error:
            self.log(f"The engine's state is not clear: {error}.")
            self.state = EngineState.UNKNOWN

    def look(self) -> None:
        """Find out whether the engine answers, and whether it gets anywhere."""
        if self.state not in _RUNNING_STATES:
            return
        try:
            self._look_at_progress()
            result = check_health(self.settings).result
            if result is Result.SUCCESS and self.state in _RUNNING_STATES:
                self.note_readiness()
            elif result is Result.DISABLED and self.state is EngineState.LOADING:
                self.step(EngineEvent.IDLE)
        except StateError as error:
            self.log(error.message)

    def look_if_due(self) -> None:
        """Look at a busy engine when it is time, not only at supervisord's ticks."""
        if self.state is EngineState.READY and self.wait_s() == 0:
            self.look_due_s = None
            self.look()

    def note_readiness(self) -> None:
        """Remember that this start has come so far as to answer."""
        if self.state is not EngineState.READY:
            self.step(EngineEvent.ANSWER)
        if not self.was_ready:
            self.was_ready = True
            self.ready_s = self.clock.now_s()
            atomic.remove_file(self.settings.failure_file)

    def _look_at_progress(self) -> None:
        start = records.read_start(self.settings)
        # Not before it was ready: loading has its own limit, and no requests.
        if start is None or not self.was_ready or start.is_stop_intended:
            return
        if self.look_due_s is not None and self.clock.now_s() < self.look_due_s:
            return
        stall = watch_progress(self.settings, start, self.clock)
        self.look_due_s = next_look_s(self.settings, start, self.clock)
        if stall is not None:
            self.on_stalled(start, stall)

    def on_stalled(self, start: records.StartRecord, stall: Stall) -> None:
        """Keep the evidence of a stuck engine and have it ended."""
        try:
            folder = keep_evidence(self.settings, start)
            where = f"What was found is kept in {folder}."
        except (StateError, OSError) as error:
            where = f"What was found could not be kept: {error}."
        self._mark_stop_intended(start)
        self.step(EngineEvent.STALL)
        tail = last_lines(self.settings.logs_dir / ENGINE_LOG)[-TAIL_LINES:]
        report = ExitReport(stall.message, where, is_final=False, log_tail=tuple(tail))
        self._plan_start(report, exit_code=None)
        try:
            self.supervisor.stopProcess(ENGINE, False)  # noqa: FBT003  # XML-RPC
        except xmlrpc.client.Fault as fault:
            self.log(f"supervisord did not stop the engine: {fault.faultString}")

    def _mark_stop_intended(self, start: records.StartRecord) -> None:
        # Health then tells the failure, and not how an ending engine answers.
        try:
            records.update_start(
                self.settings,
                start.process,
                lambda now: replace(now, is_stop_intended=True),
            )
        except StateError as error:
            self.log(error.message)

    def on_starting(self) -> None:
        """Forget earlier failures when a person started the engine."""
        if not self.is_own_start:
            self.failed = FailedStarts()
        self.is_own_start = False
        self.was_ready = False
        self.due_s = self.look_due_s = None
        self.selected = self._selected_now()

    def _selected_now(self) -> Selection | None:
        """Return what is started now; None when it is not clear."""
        try:
            return selection_of(observe_store(self.settings))
        except StateError:
            return None

    def on_exited(self, pid: str | None) -> None:
        """
        Keep the evidence and decide about another start.

        Args:
            pid: The process that has ended, as supervisord tells it.
        """
        self._end_orphans()
        exit_code = int(self.supervisor.getProcessInfo(ENGINE)["exitstatus"])
        # A start that was not recorded stands in the log of all starts.
        log = last_log(self.settings) or self.settings.logs_dir / ENGINE_LOG
        report = report_exit(exit_code, read_last_start(log), self.selected)
        told = self._told_by_daemon(pid)
        if told is not None:
            report = ExitReport(
                summary=told.summary,
                hint=told.fix,
                is_final=is_final_exit(exit_code),
                log_tail=report.log_tail,
                cause=told.cause,
                explanation=told.explanation,
                evidence=told.evidence,
                changes=told.changes,
            )
        is_restarted = self._plan_start(report, exit_code)
        self.step(EngineEvent.EXIT if is_restarted else EngineEvent.GIVE_UP)

    def _told_by_daemon(self, pid: str | None) -> records.FailureRecord | None:
        """Return what the daemon that has ended said itself: it knows best."""
        failure = records.read_failure(self.settings)
        if failure is None or failure.boot_id != self.clock.boot_id():
            return None
        return failure if pid is not None and pid == str(failure.pid) else None

    def _end_orphans(self) -> None:
        """End what the engine left: the next start may be far away, or never come."""
        start = records.read_start(self.settings)
        # Without a record a next start is under way, which does it itself.
        if start is None or is_alive(start.process, self.clock.boot_id()):
            return
        try:
            processes.end_orphans(processes.instance_id(self.settings.main))
        except EngineStopError as error:
            self.log(error.message)

    def _plan_start(self, report: ExitReport, exit_code: int | None) -> bool:
        """Decide about another start and record why; return whether there is one."""
        now_s = self.clock.now_s()
        was_steady = self.was_ready and is_steady(self.ready_s, now_s)
        decision = after_exit(
            self.failed,
            was_steady=was_steady,
            is_final=report.is_final,
            is_passing=is_passing(exit_code, report.cause),
        )
        self.failed = decision.failed
        self.due_s = None
        if decision.delay_s is not None:
            self.due_s = now_s + with_jitter(decision.delay_s, self.draw())
        next_step = (
            "It is not started again."
            if decision.delay_s is None
            else f"It is started again in {decision.delay_s:g} s."
        )
        self.log(f"{report.summary} {next_step}")
        record = records.FailureRecord(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            at_s=now_s,
            boot_id=self.clock.boot_id(),
            summary=report.summary,
            hint=f"{next_step} {report.hint}",
            exit_code=exit_code,
            is_final=decision.delay_s is None,
            starts=decision.failed.total,
            log_tail=report.log_tail,
            cause=report.cause,
            explanation=report.explanation,
            evidence=report.evidence,
            changes=report.changes,
            selection=self.selected and fingerprint(*self.selected),
            fix=report.hint,
        )
        try:
            records.write_record(self.settings.failure_file, record)
        except StateError as error:
            # Ending here would lose the planned start: a full disk must not do that.
            self.log(error.message)
        return decision.delay_s is not None

    def start_if_due(self) -> None:
        """Start the engine when its delay is over and the one before has ended."""
        if self.wait_s() > 0 or self.state is not EngineState.BACKOFF:
            return
        self.due_s = None
        self.is_own_start = True
        try:
            self.supervisor.startProcess(ENGINE, False)  # noqa: FBT003  # XML-RPC
        except xmlrpc.client.Fault as fault:
            self.is_own_start = False
            self.log(f"supervisord did not start the engine: {fault.faultString}")

    def wait_s(self) -> float:
        """Return for how long there is nothing to do but to wait for an event."""
        due_s = {
            EngineState.BACKOFF: self.due_s,
            EngineState.READY: self.look_due_s,
        }.get(self.state)
        if due_s is None:
            return IDLE_WAIT_S
        return max(0.0, due_s - self.clock.now_s())

    def log(self, message: str) -> None:
        """Write a line to the host's log; stdout belongs to the protocol."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        print(f"{now} {message}", file=sys.stderr, flush=True)  # noqa: T201


def main() -> None:
    """Run the keeper; supervisord starts it and ends it."""
    from supervisor import childutils  # noqa: PLC0415  # an extra of this package

    supervisor = childutils.getRPCInterface(os.environ).supervisor
    keeper = Keeper(load_settings(os.environ), supervisor, BootClock())
    childutils.listener.ready(sys.stdout)
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], keeper.wait_s())
        if readable:
            line = sys.stdin.readline()
            if not line:
                return
            headers = childutils.get_headers(line)
            payload = sys.stdin.read(int(headers["len"]))
            body, _ = childutils.eventdata(payload + "\n")
            keeper.on_event(headers["eventname"], body)
            childutils.listener.ok(sys.stdout)
            childutils.listener.ready(sys.stdout)
        keeper.start_if_due()
        keeper.look_if_due()


if __name__ == "__main__":
    main()

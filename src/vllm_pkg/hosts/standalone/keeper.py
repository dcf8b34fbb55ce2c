"""
The keeper: an event listener of supervisord that restarts the engine.

supervisord restarts either at once and for ever, or not at all; the keeper adds delays
that grow, gives up where another start would only fail again, and keeps the evidence.
Source: supervisord.org, "Event Listener" protocol.
"""

from __future__ import annotations

import os
import select
import sys
import xmlrpc.client
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.engine.exit_report import report_exit
from vllm_pkg.errors import StateError
from vllm_pkg.health.checker import Result
from vllm_pkg.health.probe import check_health
from vllm_pkg.hosts.standalone.backoff import after_exit
from vllm_pkg.hosts.standalone.config import ENGINE, ENGINE_LOG
from vllm_pkg.hosts.standalone.log_files import lines_of_start
from vllm_pkg.settings import load_settings
from vllm_pkg.state import atomic, records

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

IDLE_WAIT_S: Final = 60.0


@dataclass
class Keeper:
    """
    State of the keeper and what it does on each event.

    Args:
        settings: Settings in force.
        supervisor: supervisord's interface.
        clock: For the delays.
    """

    settings: Settings
    supervisor: Any
    clock: Clock
    failed_starts: int = 0
    was_ready: bool = False
    due_s: float | None = None
    is_own_start: bool = False

    def on_event(self, name: str, payload: dict[str, str]) -> None:
        """Take one event of supervisord."""
        if name == "TICK_5":
            self.note_readiness()
        if payload.get("processname") != ENGINE:
            return
        if name == "PROCESS_STATE_STARTING":
            self.on_starting()
        elif name == "PROCESS_STATE_EXITED":
            self.on_exited()
        elif name == "PROCESS_STATE_STOPPED":
            self.due_s = None

    def note_readiness(self) -> None:
        """Remember that this start has come so far as to answer."""
        try:
            result = check_health(self.settings).result
        except StateError as error:
            self.log(error.message)
            return
        if result is Result.SUCCESS and not self.was_ready:
            self.was_ready = True
            self.failed_starts = 0
            atomic.remove_file(self.settings.failure_file)

    def on_starting(self) -> None:
        """Forget earlier failures when a person started the engine."""
        if not self.is_own_start:
            self.failed_starts = 0
        self.is_own_start = False
        self.was_ready = False
        self.due_s = None

    def on_exited(self) -> None:
        """Keep the evidence and decide about another start."""
        exit_code = int(self.supervisor.getProcessInfo(ENGINE)["exitstatus"])
        lines = lines_of_start(self.settings.logs_dir / ENGINE_LOG)
        report = report_exit(exit_code, lines)
        decision = after_exit(
            self.failed_starts, was_ready=self.was_ready, is_final=report.is_final
        )
        self.failed_starts = decision.failed_starts
        now_s = self.clock.now_s()
        self.due_s = None if decision.delay_s is None else now_s + decision.delay_s
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
            starts=decision.failed_starts,
            log_tail=report.log_tail,
        )
        records.write_record(self.settings.failure_file, record)

    def start_if_due(self) -> None:
        """Start the engine when its delay is over."""
        if self.due_s is None or self.clock.now_s() < self.due_s:
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
        if self.due_s is None:
            return IDLE_WAIT_S
        return max(0.0, self.due_s - self.clock.now_s())

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


if __name__ == "__main__":
    main()

"""The standalone host in the foreground: all starts here and all ends here."""

from __future__ import annotations

import contextlib
import queue
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.engine.daemon import check_port, engine_program, prepare_state
from vllm_pkg.errors import (
    EngineError,
    NotAllowedInState,
    PortInUse,
    ServiceError,
    StateLocked,
)
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.health.history import note_health
from vllm_pkg.health.probe import check_health
from vllm_pkg.hosts.portal import is_listening, missing_libraries
from vllm_pkg.hosts.standalone import config, control
from vllm_pkg.state import atomic, locks, records

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Collection, Iterator

    from vllm_pkg.settings import Settings

POLL_S: Final = 0.5
STOP_TIMEOUT_S: Final = config.STOP_WAIT_S + 15.0
LEFTOVER_GRACE_S: Final = 5.0
# It takes 1 to 2 s; the service is shown without one that does not come.
PORTAL_WAIT_S: Final = 20.0
PORTAL_POLL_S: Final = 0.1
LOCK_TIMEOUT_S: Final = 0.5
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class HostEvents:
    """
    What the foreground view is told.

    Args:
        on_started: The supervisor runs, and so does the portal, unless it takes too
            long; the engine is on its way.
        on_health: The health changed; with the seconds since the host started.
        on_look: Called twice a second, with the seconds since the host started.
    """

    on_started: Callable[[], None]
    on_health: Callable[[HealthResult, float], None]
    on_look: Callable[[float], None] = lambda _: None


def check_can_run(settings: Settings) -> None:
    """
    Check everything that would make the host fail, before anything is changed.

    An engine that an earlier host of this instance has left on the port is ended.

    Raises:
        NotAllowedInState: it runs already.
        PortInUse: another program listens on the API's port.
        EngineNotInstalled: the program vllm is missing.
        StateError: the state is damaged.
    """
    control.check_no_other_host(settings)
    engine_program()
    try:
        check_port(settings.host, settings.port)
    except PortInUse:
        # Host and supervisor may have been killed together: then nobody ended it.
        instance = processes.instance_id(settings.main)
        if not processes.end_engine_processes(instance, LEFTOVER_GRACE_S):
            raise
        check_port(settings.host, settings.port)


def run_host(settings: Settings, events: HostEvents) -> None:
    """
    Run supervisord with the daemon until SIGINT, SIGTERM or SIGHUP.

    Returns when no process is left.

    Args:
        settings: Settings in force; the environment must say the same.
        events: Who is told what.
    Raises:
        NotAllowedInState: another one is being started.
        ServiceError: it cannot be started, or a process survived the end.
    """
    prepare_state(settings)
    with contextlib.ExitStack() as stack:
        try:
            lock = locks.locked(settings.host_lock_file, LOCK_TIMEOUT_S)
            stack.enter_context(lock)
        except StateLocked as error:
            raise NotAllowedInState(
                "the service is being started by another process",
                hint="see vllm-pkg status",
            ) from error
        stopping = stack.enter_context(_received_signals())
        folder = Path(tempfile.mkdtemp(prefix="vllm-pkg-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _supervise(settings, folder / "supervisor.sock", stopping, events)


@contextlib.contextmanager
def _received_signals() -> Iterator[queue.SimpleQueue[int]]:
    # A queue and no threading.Event: a handler runs in the thread that waits, and may
    # find the event's lock held by it. This queue's `put` is made for that.
    received: queue.SimpleQueue[int] = queue.SimpleQueue()
    # nohup and its like ignore SIGHUP for us: the service outlives the terminal then.
    heeded = [
        number
        for number in _SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    ]
    earlier = {
        number: signal.signal(number, lambda got, _frame: received.put(got))
        for number in heeded
    }
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _supervise(
    settings: Settings,
    socket: Path,
    stopping: queue.SimpleQueue[int],
    events: HostEvents,
) -> None:
    for stale in (settings.start_file, settings.failure_file):
        atomic.remove_file(stale)
    kept = processes.child_pids()
    supervisor = _start(settings, socket)
    try:
        _await_portal(settings, supervisor, stopping)
        events.on_started()
        _watch(settings, supervisor, stopping, events)
    finally:
        _stop(settings, supervisor, kept)


def _start(settings: Settings, socket: Path) -> subprocess.Popen[bytes]:
    text = config.supervisor_config(
        settings, sys.executable, socket, has_portal=not missing_libraries()
    )
    config_file = settings.run_dir / "supervisord.conf"
    atomic.write_file(config_file, text.encode())
    record = records.HostRecord(
        process=processes.own_identity(),
        host=settings.host,
        port=settings.port,
        control_socket=str(socket),
    )
    records.write_record(settings.host_file, record)
    argv = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config_file)]
    return processes.start_supervisor(argv, settings.logs_dir / config.HOST_LOG)


def _await_portal(
    settings: Settings,
    supervisor: subprocess.Popen[bytes],
    stopping: queue.SimpleQueue[int],
) -> None:
    """Wait until the link that is shown next leads somewhere."""
    if missing_libraries():
        return
    clock = BootClock()
    end_s = clock.now_s() + PORTAL_WAIT_S
    while clock.now_s() < end_s:
        is_over = supervisor.poll() is not None or not stopping.empty()
        if is_over or is_listening(settings):
            return
        time.sleep(PORTAL_POLL_S)


def _watch(
    settings: Settings,
    supervisor: subprocess.Popen[bytes],
    stopping: queue.SimpleQueue[int],
    events: HostEvents,
) -> None:
    clock = BootClock()
    began_s = clock.now_s()
    last: HealthResult | None = None
    while True:
        if supervisor.poll() is not None:
            raise EngineError(
                f"the process supervisor ended with {supervisor.returncode}",
                hint=f"see {settings.logs_dir / config.HOST_LOG}",
            )
        health = _health(settings)
        if health != last:
            events.on_health(health, clock.now_s() - began_s)
            note_health(settings, health)
            last = health
        events.on_look(clock.now_s() - began_s)
        if _is_told_to_stop(stopping):
            return


def _is_told_to_stop(stopping: queue.SimpleQueue[int]) -> bool:
    try:
        stopping.get(timeout=POLL_S)
    except queue.Empty:
        return False
    return True


def _health(settings: Settings) -> HealthResult:
    try:
        return check_health(settings)
    except ServiceError as error:
        return HealthResult(Result.FAILURE, f"{error.message}; {error.hint}")


def _stop(
    settings: Settings, supervisor: subprocess.Popen[bytes], kept: Collection[int]
) -> None:
    # Whoever asks meanwhile is told that it ends, and not that the engine loads.
    host = records.read_host(settings)
    if host is not None:
        with contextlib.suppress(ServiceError):
            told = replace(host, is_stopping=True)
            records.write_record(settings.host_file, told)
    processes.end_supervisor(supervisor, STOP_TIMEOUT_S)
    processes.end_descendants(kept, LEFTOVER_GRACE_S)
    instance = processes.instance_id(settings.main)
    processes.end_engine_processes(instance, LEFTOVER_GRACE_S)
    processes.reap_children()
    for record in (settings.start_file, settings.host_file):
        with contextlib.suppress(ServiceError):
            atomic.remove_file(record)

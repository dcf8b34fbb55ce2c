"""The standalone host in the foreground: all starts here and all ends here."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.engine.daemon import check_port, engine_program, prepare_state
from vllm_pkg.errors import EngineError, NotAllowedInState, ServiceError
from vllm_pkg.health.checker import HealthResult, Result
from vllm_pkg.health.probe import check_health
from vllm_pkg.hosts.standalone import config, control
from vllm_pkg.state import atomic, records

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from vllm_pkg.settings import Settings

POLL_S: Final = 0.5
STOP_TIMEOUT_S: Final = config.STOP_WAIT_S + 15.0
LEFTOVER_GRACE_S: Final = 5.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class HostEvents:
    """
    What the foreground view is told.

    Args:
        on_started: The supervisor runs; the engine is on its way.
        on_health: The health changed; with the seconds since the host started.
    """

    on_started: Callable[[], None]
    on_health: Callable[[HealthResult, float], None]


def check_can_run(settings: Settings) -> None:
    """
    Check everything that would make the host fail, before anything is changed.

    Raises:
        NotAllowedInState: it runs already.
        PortInUse: another program listens on the API's port.
        EngineNotInstalled: the program vllm is missing.
        StateError: the state is damaged.
    """
    host = control.running_host(settings)
    if host is not None:
        raise NotAllowedInState(
            f"the service runs already (process {host.process.pid}, port {host.port})",
            hint="see vllm-pkg status, or stop it with Ctrl-C where it was started",
        )
    engine_program()
    check_port(settings.host, settings.port)


def run_host(settings: Settings, events: HostEvents) -> None:
    """
    Run supervisord with the daemon until SIGINT, SIGTERM or SIGHUP.

    Returns when no process is left.

    Args:
        settings: Settings in force; the environment must say the same.
        events: Who is told what.
    Raises:
        ServiceError: it cannot be started, or a process survived the end.
    """
    prepare_state(settings)
    stopping = threading.Event()
    earlier = {
        number: signal.signal(number, lambda *_: stopping.set()) for number in _SIGNALS
    }
    folder = Path(tempfile.mkdtemp(prefix="vllm-pkg-"))
    supervisor = None
    try:
        for stale in (settings.start_file, settings.failure_file):
            atomic.remove_file(stale)
        supervisor = _start(settings, folder / "supervisor.sock")
        events.on_started()
        _watch(settings, supervisor, stopping, events)
    finally:
        if supervisor is not None:
            _stop(settings, supervisor)
        shutil.rmtree(folder, ignore_errors=True)
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _start(settings: Settings, socket: Path) -> subprocess.Popen[bytes]:
    text = config.supervisor_config(settings, sys.executable, socket)
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


def _watch(
    settings: Settings,
    supervisor: subprocess.Popen[bytes],
    stopping: threading.Event,
    events: HostEvents,
) -> None:
    clock = BootClock()
    began_s = clock.now_s()
    last: HealthResult | None = None
    while not stopping.is_set():
        if supervisor.poll() is not None:
            raise EngineError(
                f"the process supervisor ended with {supervisor.returncode}",
                hint=f"see {settings.logs_dir / config.HOST_LOG}",
            )
        health = _health(settings)
        if health != last:
            events.on_health(health, clock.now_s() - began_s)
            last = health
        stopping.wait(POLL_S)


def _health(settings: Settings) -> HealthResult:
    try:
        return check_health(settings)
    except ServiceError as error:
        return HealthResult(Result.FAILURE, f"{error.message}; {error.hint}")


def _stop(settings: Settings, supervisor: subprocess.Popen[bytes]) -> None:
    processes.end_supervisor(supervisor, STOP_TIMEOUT_S)
    instance = processes.instance_id(settings.main)
    processes.end_engine_processes(instance, LEFTOVER_GRACE_S)
    processes.reap_children()
    for record in (settings.start_file, settings.host_file):
        with contextlib.suppress(ServiceError):
            atomic.remove_file(record)

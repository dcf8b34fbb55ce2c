"""Talking to the running supervisord over its unix socket."""

from __future__ import annotations

import contextlib
import xmlrpc.client
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vllm_pkg.clock import BootClock
from vllm_pkg.engine import processes
from vllm_pkg.errors import EngineError, HostNotRunning, NotAllowedInState
from vllm_pkg.hosts.standalone.config import ENGINE
from vllm_pkg.state import atomic, records
from vllm_pkg.state.identity import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.settings import Settings


def running_host(settings: Settings) -> records.HostRecord | None:
    """Return the record of the host if it is running."""
    host = records.read_host(settings)
    if host is None or not is_alive(host.process, BootClock().boot_id()):
        return None
    return host


def check_no_other_host(settings: Settings) -> None:
    """
    Check that no host of this instance runs, but one that has started us.

    A daemon beside a host would end the host's engine as a leftover of an earlier one.

    Raises:
        NotAllowedInState: one runs.
    """
    host = running_host(settings)
    if host is not None and host.process.pid not in processes.ancestor_pids():
        raise NotAllowedInState(
            f"the service runs already (process {host.process.pid}, port {host.port})",
            hint="see vllm-pkg status, or stop it with Ctrl-C where it was started",
        )


def restart_engine(settings: Settings) -> None:
    """
    Stop the engine and start it again with the present store; returns when it starts.

    Raises:
        HostNotRunning: no standalone host runs.
        EngineError: supervisord refused.
    """
    host = running_host(settings)
    if host is None:
        raise HostNotRunning("the service is not running")
    # Told before it happens, so that no health check takes it for a crash.
    announce_stop(settings, is_kept_stopped=False)
    try:
        with connect(host.control_socket) as supervisor:
            # A fault means that it does not run: then there is nothing to stop.
            with contextlib.suppress(xmlrpc.client.Fault):
                supervisor.stopProcess(ENGINE)
            supervisor.startProcess(ENGINE)
    except (OSError, xmlrpc.client.Error) as error:
        raise EngineError(f"the engine was not restarted: {error}") from error


def announce_stop(settings: Settings, *, is_kept_stopped: bool) -> None:
    """
    Write down that the engine is about to be stopped on purpose.

    Args:
        settings: Settings in force.
        is_kept_stopped: Whether it stays so, until somebody starts it.
    Raises:
        StateError: it cannot be written.
    """
    start = records.read_start(settings)
    if start is not None:
        records.update_start(
            settings,
            start.process,
            lambda now: replace(
                now, is_stop_intended=True, is_kept_stopped=is_kept_stopped
            ),
        )
    atomic.remove_file(settings.failure_file)


@contextlib.contextmanager
def connect(socket: str) -> Iterator[Any]:
    """Give supervisord's ``supervisor`` interface behind a unix socket."""
    from supervisor.xmlrpc import SupervisorTransport  # noqa: PLC0415  # slow, optional

    transport = SupervisorTransport(None, None, f"unix://{socket}")
    try:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        yield proxy.supervisor
    finally:
        transport.close()

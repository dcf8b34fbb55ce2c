"""How the fetcher has the engine restarted, under each kind of host."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from vllm_pkg.clock import BootClock
from vllm_pkg.settings_table import Profile
from vllm_pkg.state import atomic, records
from vllm_pkg.state.identity import is_alive

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings


class EngineHost(Protocol):
    """What starts the engine."""

    def is_running(self) -> bool:
        """Whether it runs, so that an engine that ended would be started again."""
        ...

    def restart(self) -> None:
        """
        Have the engine started again with what store.json says now.

        Raises:
            HostNotRunning: there is nothing that would start it.
            EngineError: it could not be restarted.
        """
        ...


@dataclass(frozen=True)
class StandaloneHost:
    """supervisord, of ``vllm-pkg run``."""

    settings: Settings

    def is_running(self) -> bool:
        """Whether ``vllm-pkg run`` runs."""
        from vllm_pkg.hosts.standalone import control  # noqa: PLC0415  # small

        return control.running_host(self.settings) is not None

    def restart(self) -> None:
        """Stop the engine and start it; returns when it starts."""
        from vllm_pkg.hosts.standalone import control  # noqa: PLC0415  # small

        control.restart_engine(self.settings)


@dataclass(frozen=True)
class OuterHost:
    """
    A host outside of the container, which starts the daemon again when it has ended.

    Such as StartOS: it starts a daemon that has ended again after 0, 1, 2, ... up to
    30 s (reference: startos.md, 5.4). The engine has the daemon's process, so to end it
    in order is to restart it; vLLM ends by itself some seconds after SIGTERM.
    """

    settings: Settings

    def is_running(self) -> bool:
        """Whether it runs: else we would not run either."""
        return True

    def restart(self) -> None:
        """Tell the engine to end; the host starts it again."""
        from vllm_pkg.engine.processes import send_signal  # noqa: PLC0415  # small

        start = records.read_start(self.settings)
        atomic.remove_file(self.settings.failure_file)
        if start is None or not is_alive(start.process, BootClock().boot_id()):
            # It is being started just now, or about to be, with the present store.
            return
        # Told before it happens, so that no health check takes it for a crash.
        records.update_start(
            self.settings,
            start.process,
            lambda now: replace(now, is_stop_intended=True),
        )
        send_signal(start.process.pid, signal.SIGTERM)


def find_engine_host(settings: Settings) -> EngineHost:
    """Return the host of this instance."""
    if settings.profile is Profile.STARTOS:
        return OuterHost(settings)
    return StandaloneHost(settings)

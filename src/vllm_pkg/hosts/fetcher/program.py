"""The fetcher: it waits for a request, does the switch, and waits again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine import processes
from vllm_pkg.errors import NotAllowedInState, ServiceError, StateLocked
from vllm_pkg.hosts.fetcher.engine_host import find_engine_host
from vllm_pkg.hosts.fetcher.switcher import Switcher
from vllm_pkg.hosts.fetcher.watch import FetcherEnds
from vllm_pkg.state import atomic, locks, switch_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.health.checker import Result
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord
    from vllm_pkg.state.switch import Switch

POLL_S: Final = 0.5
RETRY_S: Final = 5.0
# supervisord sets it for what it starts.
SUPERVISED_ENV: Final = "SUPERVISOR_ENABLED"


@dataclass(frozen=True)
class RealWork:
    """What takes long, done for real; heavy parts are imported when they are needed."""

    settings: Settings

    def prepare(self, switch: Switch, is_cancelled: Callable[[], bool]) -> None:
        """Check the arguments and fetch the model."""
        from vllm_pkg.hosts.fetcher.preparation import prepare  # noqa: PLC0415

        prepare(self.settings, switch, is_cancelled)

    def find_health(self) -> Result:
        """Return the health of the API now."""
        from vllm_pkg.health.probe import check_health  # noqa: PLC0415

        return check_health(self.settings).result

    def try_canary(self, start: StartRecord) -> str | None:
        """Return why the first request to an engine failed, or None."""
        from vllm_pkg.hosts.fetcher.canary import try_canary  # noqa: PLC0415

        return try_canary(self.settings, start)


def run_fetcher(settings: Settings) -> None:
    """
    Do every switch that is asked for, until a signal.

    It may be killed at any moment: the next one goes on with what the files say.

    Raises:
        NotAllowedInState: this instance has a fetcher already.
        StateError: its folder cannot be written.
    """
    atomic.make_folder(settings.run_dir)
    parent = os.getppid() if os.environ.get(SUPERVISED_ENV) else None

    def must_end() -> bool:
        # supervisord was killed: whoever follows it starts a fetcher of his own.
        return parent is not None and os.getppid() != parent

    # The one of a supervisord that was killed ends as soon as it looks.
    timeout_s = POLL_S / 2 if parent is None else locks.LOCK_TIMEOUT_S
    lock = locks.locked(settings.fetcher_lock_file, timeout_s)
    try:
        with lock:
            switch_file.write_fetcher(settings, processes.own_identity())
            work, host = RealWork(settings), find_engine_host(settings)
            _loop(settings, Switcher(settings, host, work, _log, must_end), must_end)
    except StateLocked as error:
        if str(settings.fetcher_lock_file) not in error.message:
            raise
        raise NotAllowedInState(
            "this instance has a fetcher already", hint="see vllm-pkg switch status"
        ) from error


def _loop(settings: Settings, switcher: Switcher, must_end: Callable[[], bool]) -> None:
    seen: object = None
    said = ""
    while not must_end():
        # Before the step: what is asked for while it runs is found afterwards.
        now = _signature(settings)
        if now == seen:
            time.sleep(POLL_S)
            continue
        try:
            while switcher.step():
                pass
            seen = now
            said = ""
        except FetcherEnds:
            return
        except ServiceError as error:
            if error.message != said:
                _log(f"{error.message}; {error.hint}")
            said = error.message
            time.sleep(RETRY_S)


def _signature(settings: Settings) -> object:
    """Return what changes with each change of switch.json, without reading it."""
    try:
        status = settings.switch_file.stat()
    except OSError:
        return 0
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _log(line: str) -> None:
    print(f"{switch_file.utc_now()} {line}", flush=True)  # noqa: T201

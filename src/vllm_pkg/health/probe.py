"""Reading what the health decision needs: state files, one process, one request."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.errors import StateCorrupt, StateError, StateWriteFailed
from vllm_pkg.health.checker import (
    Api,
    Engine,
    HealthResult,
    Observation,
    check_api,
    check_download,
)
from vllm_pkg.health.http_client import asked_address, fetch
from vllm_pkg.health.listeners import is_own_listener
from vllm_pkg.health.watcher import remembered_stall, watch_progress
from vllm_pkg.settings_table import Profile
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from vllm_pkg.health.progress import Stall
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.switch_file import SwitchProgress

REQUEST_TIMEOUT_S: Final = 5.0
BODY_SIZE_MAX_BYTES: Final = 64 * 1024
_HTTP_OK: Final = 200


def check_health(settings: Settings, clock: Clock | None = None) -> HealthResult:
    """
    Check the API's health now.

    Raises:
        StateError: store.json is damaged or cannot be read.
    """
    return check_api(observe(settings, clock or BootClock()))


def check_all(
    settings: Settings, clock: Clock | None = None
) -> tuple[HealthResult, ...]:
    """
    Run every health check now; the one that dependents rely on comes first.

    Raises:
        StateError: store.json is damaged or cannot be read.
    """
    observation = observe(settings, clock or BootClock())
    preparation = _preparation(settings, observation.now_s)
    with_switch = replace(observation, preparation=preparation)
    return (check_api(observation), check_download(with_switch))


def observe(settings: Settings, clock: Clock) -> Observation:
    """Read everything the decision needs."""
    boot_id = clock.boot_id()
    start = records.read_start(settings)
    engine = _engine_state(start, boot_id)
    api, status, stall = (Api.SILENT, None, None)
    if start is not None and engine is Engine.RUNNING:
        api, status = _ask_engine(start)
        stall = _stall(settings, start, clock) if api is Api.READY else None
        # It may have ended since; what answered need not be the engine then.
        engine = _engine_state(start, boot_id)
    if engine is Engine.ENDED and settings.profile is Profile.STARTOS:
        _note_end(settings, clock)
    failure = records.read_failure(settings)
    now_s = clock.now_s()
    host = _running_host(settings, boot_id)
    return Observation(
        is_model_selected=_is_model_selected(settings, engine),
        is_host_running=settings.profile is Profile.STARTOS or host is not None,
        is_host_stopping=host is not None and host.is_stopping,
        engine=engine,
        elapsed_s=now_s - start.started_s if start else 0.0,
        api=api,
        api_status=status,
        failure=_failure_since(failure, start, boot_id),
        earlier_failure=_failure_before(failure, start),
        stall=stall,
        start=start,
        now_s=now_s,
        switch_note=None if engine is Engine.RUNNING else _switch_note(settings),
    )


def _switch_note(settings: Settings) -> str | None:
    """Return why another model is not served, when what came back fails as well."""
    # Rarely needed, and read each second.
    if not settings.switch_file.exists():
        return None
    from vllm_pkg.health.switch_text import describe_switch  # noqa: PLC0415
    from vllm_pkg.state.switch_file import observe_switches  # noqa: PLC0415

    with contextlib.suppress(StateError):
        current = observe_switches(settings).current
        if current is not None and current.return_reason is not None:
            return describe_switch(replace(current, return_reason=None), None)
    return None


def _preparation(settings: Settings, now_s: float) -> SwitchProgress | None:
    """Return how far the download of a switch is that is being prepared."""
    if not settings.switch_file.exists():
        return None
    from vllm_pkg.state.switch import SwitchPhase  # noqa: PLC0415  # as above
    from vllm_pkg.state.switch_file import (  # noqa: PLC0415
        observe_switches,
        read_progress,
    )

    with contextlib.suppress(StateError):
        current = observe_switches(settings).current
        if current is not None and current.phase is SwitchPhase.PREPARING:
            progress = read_progress(settings, current.id)
            # One of an earlier boot was written at a time that has not come yet.
            is_present = progress is not None and progress.updated_s <= now_s
            return progress if is_present else None
    return None


def _is_model_selected(settings: Settings, engine: Engine) -> bool:
    try:
        return observe_store(settings).is_model_selected
    except StateCorrupt:
        if engine is not Engine.RUNNING:
            raise
        # It serves what was selected; the damage matters at its next start.
        return True


def is_host_running(settings: Settings, boot_id: str) -> bool:
    """Whether something runs that starts the engine."""
    if settings.profile is Profile.STARTOS:
        return True
    return _running_host(settings, boot_id) is not None


def _running_host(settings: Settings, boot_id: str) -> records.HostRecord | None:
    host = records.read_host(settings)
    return host if host is not None and is_alive(host.process, boot_id) else None


def ask_api(
    host: str, port: int, timeout_s: float = REQUEST_TIMEOUT_S
) -> tuple[Api, int | None]:
    """
    Ask the engine's ``/health``.

    Args:
        host: Address the engine was told to listen on.
        port: Its TCP port.
        timeout_s: For all of it together.
    Returns:
        How it answered, and the HTTP status if it was another than 200.
    """
    reply = fetch(
        host, port, "/health", timeout_s=timeout_s, size_max_bytes=BODY_SIZE_MAX_BYTES
    )
    if reply is None:
        return Api.SILENT, None
    return (Api.READY, None) if reply.status == _HTTP_OK else (Api.UNWELL, reply.status)


def _ask_engine(start: records.StartRecord) -> tuple[Api, int | None]:
    api, status = ask_api(start.host, start.port)
    if api is Api.SILENT:
        return api, status
    # While the engine loads, another program may have taken its port, and answer.
    address = asked_address(start.host)
    if is_own_listener(start.process.pid, address, start.port) is False:
        return Api.SILENT, None
    return api, status


def _stall(
    settings: Settings, start: records.StartRecord, clock: Clock
) -> Stall | None:
    if settings.profile is not Profile.STARTOS:
        return remembered_stall(settings, start, clock)
    # A full disk hides a stall, and must not hide the rest.
    with contextlib.suppress(StateWriteFailed):
        return watch_progress(settings, start, clock)
    return None


def _failure_since(
    failure: records.FailureRecord | None,
    start: records.StartRecord | None,
    boot_id: str,
) -> records.FailureRecord | None:
    if failure is None or failure.boot_id != boot_id:
        return None
    return failure if start is None or failure.at_s >= start.started_s else None


def _failure_before(
    failure: records.FailureRecord | None, start: records.StartRecord | None
) -> records.FailureRecord | None:
    """Return why an earlier start of the same failed; readiness removes the record."""
    if failure is None or start is None or start.selection is None:
        return None
    is_earlier = (
        failure.boot_id == start.process.boot_id and failure.at_s < start.started_s
    )
    return failure if is_earlier and failure.selection == start.selection else None


def _note_end(settings: Settings, clock: Clock) -> None:
    """Find out why the engine has ended, where nobody else does before the next one."""
    # Rarely needed: nearly all engines that are asked for run.
    from vllm_pkg.engine.last_end import note_last_end  # noqa: PLC0415

    with contextlib.suppress(StateError):
        note_last_end(settings, clock)


def _engine_state(start: records.StartRecord | None, boot_id: str) -> Engine:
    if start is None or start.process.boot_id != boot_id:
        return Engine.NEVER_STARTED
    if start.is_stop_intended:
        return Engine.STOPPING
    return Engine.RUNNING if is_alive(start.process, boot_id) else Engine.ENDED

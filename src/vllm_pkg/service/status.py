"""The whole picture of the service, collected once for whoever shows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vllm_pkg import __version__
from vllm_pkg.actions.tasks import pending_tasks
from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.engine.command import model_argument, served_name
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.health.probe import check_health
from vllm_pkg.health.start_text import describe_start, left_s
from vllm_pkg.hosts.standalone.control import running_host
from vllm_pkg.service import switches
from vllm_pkg.service.disk import disk_json
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings


def collect(settings: Settings) -> dict[str, Any]:
    """
    Collect the status.

    Raises:
        ServiceError: a state file is damaged, or a setting is wrong.
    """
    clock = BootClock()
    store = observe_store(settings)
    health = check_health(settings, clock)
    host = running_host(settings)
    start = records.read_start(settings)
    hardware = detect_hardware(settings)
    address = start or host or settings
    failure = records.read_failure(settings)
    return {
        "version": __version__,
        "profile": settings.profile.value,
        "isRunning": host is not None,
        "model": {
            "selection": store.selection.selection if store.selection else None,
            "source": model_argument(store.serve_args) or None,
            "servedName": served_name(store.serve_args) or None,
        },
        "health": health.as_json(),
        "start": start_json(start, clock),
        "switch": switches.collect(settings),
        "api": {"baseUrl": base_url(address.host, address.port)},
        "hardware": {
            "tier": hardware.tier,
            "memoryGib": round(hardware.memory_gib, 2),
            "notes": list(hardware.notes),
        },
        "disk": disk_json(settings.main),
        "tasks": [task.as_json() for task in pending_tasks(settings)],
        "lastFailure": asdict(failure) if failure else None,
    }


def start_json(
    start: records.StartRecord | None, clock: Clock
) -> dict[str, Any] | None:
    """Return how far the engine's start is; None when none of it runs."""
    if start is None or not is_alive(start.process, clock.boot_id()):
        return None
    now_s = clock.now_s()
    left = left_s(start, now_s)
    return {
        "phase": start.phase,
        "phasePercent": start.phase_percent,
        "percent": start.percent,
        "etaS": None if left is None else round(left),
        "elapsedS": round(now_s - start.started_s),
        "readyAfterS": start.ready_after_s,
        "repository": start.repository,
        "bytesDone": start.bytes_done,
        "bytesTotal": start.bytes_total,
        "bytesPerS": start.bytes_per_s,
        "isStalled": start.is_stalled,
        "phases": [{"phase": name, "seconds": s} for name, s in start.phases],
        "logFile": start.log_file,
        "text": describe_start(start, now_s),
    }


def base_url(host: str, port: int) -> str:
    """Return the API's base URL; an address that means "all" becomes this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return (
        f"http://[{shown}]:{port}/v1" if ":" in shown else f"http://{shown}:{port}/v1"
    )

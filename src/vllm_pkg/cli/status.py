"""The whole picture of the service, collected once and told in two forms."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg import __version__
from vllm_pkg.actions.tasks import pending_tasks
from vllm_pkg.engine.command import model_argument, served_name
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.health.probe import check_health
from vllm_pkg.hosts.standalone.control import running_host
from vllm_pkg.state import records
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.settings import Settings

GIB: Final = 1024**3
WATCH_S: Final = 1.0


def collect(settings: Settings) -> dict[str, Any]:
    """
    Collect the status.

    Raises:
        ServiceError: a state file is damaged, or a setting is wrong.
    """
    store = observe_store(settings)
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
        "health": check_health(settings).as_json(),
        "api": {"baseUrl": base_url(address.host, address.port)},
        "hardware": {
            "tier": hardware.tier,
            "memoryGib": round(hardware.memory_gib, 2),
            "notes": list(hardware.notes),
        },
        "disk": _disk(settings.main),
        "tasks": [task.as_json() for task in pending_tasks(settings)],
        "lastFailure": asdict(failure) if failure else None,
    }


def base_url(host: str, port: int) -> str:
    """Return the API's base URL; an address that means "all" becomes this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return (
        f"http://[{shown}]:{port}/v1" if ":" in shown else f"http://{shown}:{port}/v1"
    )


def describe(status: dict[str, Any]) -> str:
    """Return the status as lines for people."""
    model, health, disk = status["model"], status["health"], status["disk"]
    lines = [
        (
            f"Service:   {'running' if status['isRunning'] else 'not running'}"
            f" (vllm-pkg {status['version']}, {status['profile']})"
        ),
        f"Model:     {_model(model)}",
        f"Health:    {health['result']}: {health['message']}",
        f"API:       {status['api']['baseUrl']}",
        (
            f"Hardware:  {status['hardware']['tier'] or 'none usable'},"
            f" {status['hardware']['memoryGib']:.1f} GiB for models"
        ),
        (
            f"Disk:      {disk['freeBytes'] / GIB:.1f} GiB free of"
            f" {disk['totalBytes'] / GIB:.1f} GiB at {disk['path']}"
        ),
    ]
    lines += [f"Note:      {note}" for note in status["hardware"]["notes"]]
    lines += [
        f"To do:     {task['reason']} ({task['severity']}): {task['actionId']}"
        for task in status["tasks"]
    ]
    if status["lastFailure"]:
        failure = status["lastFailure"]
        lines.append(f"Failure:   {failure['at']}: {failure['summary']}")
    return "\n".join(lines)


def watch(settings: Settings) -> None:
    """Show the status anew each second, until interrupted."""
    from rich.live import Live  # noqa: PLC0415  # only here
    from rich.text import Text  # noqa: PLC0415

    with Live(refresh_per_second=4) as live:
        while True:
            live.update(Text(describe(collect(settings))))
            time.sleep(WATCH_S)


def _model(model: dict[str, Any]) -> str:
    if model["source"] is None:
        return "none selected"
    name = model["servedName"]
    chosen = f", chosen as {model['selection']}" if model["selection"] else ""
    return f"{name} ({model['source']}{chosen})"


def _disk(main: Path) -> dict[str, Any]:
    folder = main
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return {
        "path": str(main),
        "freeBytes": usage.free,
        "totalBytes": usage.total,
    }

"""The whole picture of the service, collected once and told in two forms."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg import __version__
from vllm_pkg.actions.tasks import pending_tasks
from vllm_pkg.cli import switch
from vllm_pkg.cli.output import print_text
from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.engine.command import model_argument, served_name
from vllm_pkg.engine.phases import Phase
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.health.probe import check_health
from vllm_pkg.health.start_text import describe_start, left_s, phase_name
from vllm_pkg.hosts.standalone.control import running_host
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from vllm_pkg.settings import Settings

GIB: Final = 1024**3
WATCH_S: Final = 1.0


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
        "switch": switch.collect(settings),
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
        *_start(status["start"], health["message"]),
        *(f"Switch:    {line}" for line in switch.news(status["switch"])),
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
    from rich.console import Console  # noqa: PLC0415  # only here
    from rich.live import Live  # noqa: PLC0415

    console = Console()
    if not console.is_terminal or console.is_dumb_terminal:
        # Where nothing can be drawn over, only what has changed is written.
        _write_changes(settings)
        return
    with Live(console=console, refresh_per_second=4) as live:
        while True:
            live.update(picture(collect(settings)))
            time.sleep(WATCH_S)


def _write_changes(settings: Settings) -> None:
    last = ""
    while True:
        shown = describe(collect(settings))
        if shown != last:
            print_text(f"{shown}\n")
            last = shown
        time.sleep(WATCH_S)


def picture(status: dict[str, Any]) -> RenderableType:
    """Return the status for a terminal, with a bar for the step and for the start."""
    from rich.console import Group  # noqa: PLC0415
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 1))
    for name, percent in progress_bars(status):
        shown = "" if percent is None else f"{percent:3.0f} %"
        # Without a number the bar only moves: something goes on.
        bar = ProgressBar(completed=percent or 0.0, pulse=percent is None, width=40)
        grid.add_row(Text(name), bar, Text(shown))
    return Group(Text(describe(status)), grid)


def progress_bars(status: dict[str, Any]) -> list[tuple[str, float | None]]:
    """Return what there is a bar for, with its percent: a start, and a switch."""
    return [*_start_bars(status["start"]), *_switch_bars(status["switch"])]


def _start_bars(start: dict[str, Any] | None) -> list[tuple[str, float | None]]:
    if start is None or start["phase"] == Phase.READY:
        return []
    name = phase_name(start["phase"]) or start["phase"]
    return [
        (f"{name[:1].upper()}{name[1:]}", start["phasePercent"]),
        ("The whole start", start["percent"]),
    ]


def _switch_bars(switches: dict[str, Any]) -> list[tuple[str, float | None]]:
    current = switches["current"]
    progress = None if current is None else current["progress"]
    if progress is None:
        return []
    done, total = progress["bytesDone"], progress["bytesTotal"]
    return [("Downloading the next model", 100.0 * done / total if total else None)]


def _start(start: dict[str, Any] | None, health_text: str) -> list[str]:
    if start is None:
        return []
    if start["readyAfterS"] is not None:
        return [f"Start:     ready after {start['readyAfterS']:.0f} s"]
    # While it loads, the health tells it already.
    is_told = not start["text"] or start["text"] in health_text
    return [] if is_told else [f"Start:     {start['text']}"]


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

"""``vllm-pkg status``: the whole picture of the service as text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.cli.output import print_text
from vllm_pkg.engine.phases import Phase
from vllm_pkg.health.start_text import phase_name
from vllm_pkg.service import switches
from vllm_pkg.service.status import collect

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vllm_pkg.settings import Settings

GIB: Final = 1024**3
WATCH_S: Final = 1.0


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
        *(f"Switch:    {line}" for line in switches.news(status["switch"])),
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


def _switch_bars(document: dict[str, Any]) -> list[tuple[str, float | None]]:
    current = document["current"]
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

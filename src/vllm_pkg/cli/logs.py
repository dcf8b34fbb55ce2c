"""``vllm-pkg logs``: what the engine wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JSON_FLAG, print_json, print_json_line, print_text
from vllm_pkg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("logs")(show_logs)


def show_logs(
    *,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with what is added.")
    ] = False,
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=1, help="How many lines of history.")
    ] = 200,
    json: Annotated[
        bool,
        typer.Option(
            JSON_FLAG, help="Print one JSON document; with -f one on each line."
        ),
    ] = False,
) -> None:
    """Show the engine's log: the last lines, and with -f what is added."""
    from vllm_pkg.hosts.standalone import log_files  # noqa: PLC0415
    from vllm_pkg.hosts.standalone.config import ENGINE_LOG  # noqa: PLC0415

    path = current_settings().logs_dir / ENGINE_LOG
    history = log_files.last_lines(path)
    if not follow and not history:
        raise ConfigError(
            "there is no engine log yet",
            hint="start the service: vllm-pkg run (under StartOS see its own logs)",
        )
    shown = history[-lines:]
    if json and not follow:
        print_json({"file": str(path), "lines": shown})
    elif json:
        _print_lines(shown)
        _print_lines(log_files.whole_lines(log_files.follow(path)))
    else:
        for line in shown:
            print_text(line)
        if follow:
            for text in log_files.follow(path):
                print_text(text, end="")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print_json_line({"line": line})

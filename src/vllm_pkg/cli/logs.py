"""``vllm-pkg logs``: what the engine wrote."""

from __future__ import annotations

from typing import Annotated

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import print_text
from vllm_pkg.errors import ConfigError


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
    for line in history[-lines:]:
        print_text(line)
    if follow:
        for text in log_files.follow(path):
            print_text(text, end="")

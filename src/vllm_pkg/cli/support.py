"""``vllm-pkg support``: one file for somebody who helps."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JsonOption, print_json, print_text


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("support")(make_bundle)


def make_bundle(
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where to; without it a new file here.",
            metavar="FILE",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Collect versions, logs and state for somebody who helps, without secrets."""
    from vllm_pkg.models.download.disk_plan import format_bytes  # noqa: PLC0415
    from vllm_pkg.service.support.bundle import (  # noqa: PLC0415
        bundle_name,
        write_bundle,
    )

    target = output or Path(bundle_name(datetime.now(UTC)))
    report = write_bundle(current_settings(), target)
    if json:
        print_json(report.as_json())
        return
    size = format_bytes(report.size_bytes)
    print_text(f"Support bundle: {report.path.absolute()} ({size})")
    if report.missing:
        names = ", ".join(report.missing)
        print_text(f"It could not be collected, and missing.json says why: {names}")
    print_text("Keys and tokens are hidden; look through it before you publish it.")

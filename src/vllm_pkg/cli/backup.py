"""``vllm-pkg backup``: making, checking and restoring backups."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import JsonOption, print_json, print_text, writing
from vllm_pkg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.service.backup.restoring import RestoreReport
    from vllm_pkg.service.backup.summary import BackupSummary, Progress
    from vllm_pkg.settings import Settings

STANDARD_OUTPUT = "-"
app = make_group("Backups of the state, with the keys, and of models.")
_FileArgument = Annotated[Path, typer.Argument(help="The backup.", metavar="FILE")]


@app.callback()
def group() -> None:
    """Backups of the state, with the keys, and of models."""


@app.command("create")
def create(
    file: Annotated[
        str,
        typer.Argument(
            help="Where to; without it a new file here, and - is the standard output.",
            metavar="[FILE|-]",
        ),
    ] = "",
    *,
    with_models: Annotated[
        bool, typer.Option("--with-models", help="The models too, not only the state.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a backup of the state, which holds the keys; keep it as safe as a key."""
    from vllm_pkg.service.backup.writing import (  # noqa: PLC0415
        backup_name,
        create_backup,
    )

    settings = current_settings()
    if file == STANDARD_OUTPUT:
        _create_on_stdout(settings, with_models=with_models, as_json=json)
        return
    target = Path(file or backup_name(datetime.now(UTC)))
    with _bar("Backing up", is_quiet=json or not with_models) as show:
        summary = create_backup(
            settings, target, with_models=with_models, progress=show
        )
    if json:
        print_json({"file": str(target.absolute()), **summary.as_json()})
        return
    print_text(f"Backup: {target.absolute()}")
    _print_summary(summary)
    print_text("It holds secrets: whoever has it can use this service.")


@app.command("verify")
def verify(file: _FileArgument, *, json: JsonOption = False) -> None:
    """Read all of a backup and check it, and change nothing."""
    from vllm_pkg.service.backup.restoring import verify_backup  # noqa: PLC0415

    with _bar("Checking", is_quiet=json) as show:
        summary = verify_backup(file, progress=show)
    if json:
        print_json({"file": str(file.absolute()), **summary.as_json()})
        return
    print_text(f"Backup: {file.absolute()}, whole")
    _print_summary(summary)


@app.command("restore")
def restore(
    file: _FileArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Replace the state by that of a backup, all of it or nothing."""
    from vllm_pkg.service.backup import restoring  # noqa: PLC0415

    settings = current_settings()
    restoring.check_can_restore(settings)
    summary = restoring.read_summary(file)
    if not yes:
        if json or not sys.stdin.isatty():
            raise UsageError(
                "nothing was restored: there is nobody to ask",
                hint="add --yes, or see what it holds: vllm-pkg backup verify FILE",
            )
        _print_summary(summary)
        question = f"Replace the state in {settings.main} and {settings.public} by it?"
        typer.confirm(question, abort=True)
    with _bar("Restoring", is_quiet=json or not summary.models) as show:
        report = restoring.restore_backup(settings, file, progress=show)
    if json:
        print_json(report.as_json())
        return
    print_text(f"Restored into {settings.main} and {settings.public}:")
    _print_summary(report.summary)
    _print_kept(report)


def _create_on_stdout(settings: Settings, *, with_models: bool, as_json: bool) -> None:
    from vllm_pkg.service.backup.writing import create_backup  # noqa: PLC0415

    if as_json:
        raise UsageError("--json and - both want the standard output")
    if sys.stdout.isatty():
        raise UsageError(
            "a backup is not for the terminal: it holds secrets",
            hint="name a file, or send it to a program",
        )
    with writing():
        create_backup(settings, sys.stdout.buffer, with_models=with_models)
        sys.stdout.buffer.flush()


def _print_summary(summary: BackupSummary) -> None:
    from vllm_pkg.models.download.disk_plan import format_bytes  # noqa: PLC0415

    key = "the API key" if summary.has_key else "no API key"
    token = ", a Hugging Face token" if summary.has_hub_token else ""
    print_text(f"Made:   {summary.created} by vllm-pkg {summary.program}")
    print_text(f"Holds:  {key}, named keys: {summary.named_keys}{token}")
    names = ", ".join(summary.models) or "none"
    size = f" ({format_bytes(summary.model_bytes)})" if summary.models else ""
    print_text(f"Models: {names}{size}")


def _print_kept(report: RestoreReport) -> None:
    from vllm_pkg.models.download.disk_plan import format_bytes  # noqa: PLC0415

    if report.kept is not None:
        print_text(f"The state of before is kept until the next restore: {report.kept}")
    for folder in report.kept_models:
        size = format_bytes(report.kept_model_bytes)
        print_text(f"Models that were replaced are kept, {size}: {folder}")


@contextlib.contextmanager
def _bar(what: str, *, is_quiet: bool) -> Iterator[Progress]:
    """Give what takes progress and draws it, on a terminal, on stderr."""
    from rich.console import Console  # noqa: PLC0415  # rich is slow to import
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns: tuple[Any, ...] = (
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
        *(TransferSpeedColumn(), TimeRemainingColumn()),
    )
    is_drawn = console.is_terminal and not is_quiet
    with Progress(*columns, console=console, disable=not is_drawn) as progress:
        task = progress.add_task(what, total=None)

        def show(done_bytes: int, total_bytes: int) -> None:
            progress.update(task, completed=done_bytes, total=total_bytes)

        yield show

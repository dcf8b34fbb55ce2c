"""``vllm-pkg model pull`` and ``model verify``: fetching ahead, and checking."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JsonOption, print_json, print_table, print_text
from vllm_pkg.clock import BootClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    from vllm_pkg.models.download.ensure import DownloadReport
    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.models.download.verify import FileCheck
    from vllm_pkg.service.jobs import Reporter
    from vllm_pkg.settings import Settings

EXIT_DAMAGED = 1
TELL_S = 0.5
DAMAGED_LISTED_MAX = 200


def register(app: typer.Typer) -> None:
    """Add the commands to a group."""
    app.command("pull")(pull_model)
    app.command("verify")(verify_model)


JobOption = Annotated[
    str | None,
    # Given by the portal, which watches this process by that name.
    typer.Option("--job", hidden=True),
]


def pull_model(
    model: Annotated[
        str,
        typer.Argument(
            help="A preset, or a repository as org/name; without it the selected one.",
            metavar="[PRESET|REPO]",
        ),
    ] = "",
    *,
    revision: Annotated[
        str, typer.Option(help="A branch, tag or commit of the repository.")
    ] = "",
    job: JobOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch a model into the cache, or go on with it, without selecting it."""
    from vllm_pkg.service import jobs  # noqa: PLC0415

    settings = current_settings()
    with jobs.reporting(settings, jobs.Kind.PULL, model, job) as reporter:
        report = _pull(settings, model, revision, reporter, is_quiet=json)
        document = {
            "repositories": list(report.repositories),
            "bytes_fetched": report.bytes_fetched,
            "complete": report.is_complete,
        }
        reporter.done(document)
    if json:
        print_json(document)
        return
    names = ", ".join(report.repositories)
    print_text(f"Complete in the cache: {names}." if names else "Nothing to fetch.")


def _pull(
    settings: Settings, model: str, revision: str, reporter: Reporter, *, is_quiet: bool
) -> DownloadReport:
    from vllm_pkg.models.download.ensure import ensure_needs  # noqa: PLC0415
    from vllm_pkg.models.download.needs import read_needs  # noqa: PLC0415
    from vllm_pkg.service import pulling  # noqa: PLC0415

    serve_args = pulling.serve_arguments(settings, model)
    if revision:
        serve_args += ("--revision", revision)
    needs = read_needs(serve_args, os.path.isdir)
    with _bar(is_quiet=is_quiet) as show:

        def tell(transfer: Transfer) -> None:
            show(transfer)
            reporter.progress(transfer.as_json())

        circumstances = pulling.circumstances(settings)
        return ensure_needs(settings, needs, circumstances, tell, is_refresh=True)


def verify_model(
    model: Annotated[
        str, typer.Argument(help="Such as org/name; without it all.", metavar="[MODEL]")
    ] = "",
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Read all content and compare its hash.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch again what is damaged.")
    ] = False,
    job: JobOption = None,
    json: JsonOption = False,
) -> None:
    """Check the files in the cache: sizes and headers at once, all content if asked."""
    from vllm_pkg.service import jobs  # noqa: PLC0415

    settings = current_settings()
    with jobs.reporting(settings, jobs.Kind.VERIFY, model, job) as reporter:
        tell = _checked_bytes(reporter)
        checks = _check(settings, model, tell, is_full=full, is_quiet=json)
        damaged = [check for check in checks if not check.is_ok]
        repaired = 0
        if repair and damaged:
            _repair(settings, damaged, reporter, is_quiet=json)
            repaired = len(damaged)
            checks = _check(settings, model, tell, is_full=full, is_quiet=json)
        still = [check for check in checks if not check.is_ok]
        reporter.done(_verdict(checks, still, repaired))
    if json:
        documents = [check.as_json() for check in checks]
        print_json({"files": documents, "damaged": len(still), "repaired": repaired})
    else:
        _print_checks(checks, still, repaired)
    if still:
        raise typer.Exit(EXIT_DAMAGED)


def _verdict(
    checks: tuple[FileCheck, ...], still: list[FileCheck], repaired: int
) -> dict[str, Any]:
    return {
        "files": len(checks),
        "damaged": len(still),
        "repaired": repaired,
        # A person repairs them all at once, however many they are.
        "first_damaged": [check.as_json() for check in still[:DAMAGED_LISTED_MAX]],
    }


def _checked_bytes(reporter: Reporter) -> Callable[[str, int], None]:
    """Return what tells a job how far a check is, a few times a second."""
    clock, done_bytes, told_s = BootClock(), 0, float("-inf")

    def tell(name: str, size_bytes: int) -> None:
        nonlocal done_bytes, told_s
        done_bytes += size_bytes
        if clock.now_s() - told_s >= TELL_S:
            told_s = clock.now_s()
            reporter.progress({"file": name, "bytes_done": done_bytes})

    return tell


def _repair(
    settings: Settings, damaged: list[FileCheck], reporter: Reporter, *, is_quiet: bool
) -> None:
    from vllm_pkg.models.download.repair import repair_files  # noqa: PLC0415
    from vllm_pkg.service import pulling  # noqa: PLC0415

    with _bar(is_quiet=is_quiet) as show:

        def tell(transfer: Transfer) -> None:
            show(transfer)
            name, done_bytes = transfer.repository, transfer.bytes_done
            reporter.progress({"file": name, "bytes_done": done_bytes})

        repair_files(settings, damaged, pulling.circumstances(settings), tell)


def _check(
    settings: Settings,
    model: str,
    tell: Callable[[str, int], None],
    *,
    is_full: bool,
    is_quiet: bool,
) -> tuple[FileCheck, ...]:
    from vllm_pkg.models.download.verify import verify_models  # noqa: PLC0415

    with _terminal_bar(is_quiet=is_quiet) as bar:
        task = bar.add_task("Checking", total=None) if bar else None

        def read(name: str, size_bytes: int) -> None:
            tell(name, size_bytes)
            if bar is not None and task is not None:
                bar.update(task, advance=size_bytes, description=f"Checking {name}")

        return verify_models(settings, model or None, is_full=is_full, on_checked=read)


@contextlib.contextmanager
def _bar(*, is_quiet: bool) -> Iterator[Callable[[Transfer], None]]:
    """Yield what shows how far a download is."""
    with _terminal_bar(is_quiet=is_quiet) as bar:
        task = bar.add_task("", total=None) if bar else None

        def show(transfer: Transfer) -> None:
            if bar is not None and task is not None:
                bar.update(
                    task,
                    description=f"{transfer.repository} ({transfer.state})",
                    completed=transfer.bytes_done,
                    total=transfer.bytes_total or None,
                )

        yield show


@contextlib.contextmanager
def _terminal_bar(*, is_quiet: bool) -> Iterator[Progress | None]:
    """Yield a progress bar on stderr; None where it is no terminal, or not wanted."""
    from rich.console import Console  # noqa: PLC0415  # slow to import
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    if is_quiet or not console.is_terminal:
        yield None
        return
    with Progress(*_columns(), console=console, transient=True) as bar:
        yield bar


def _columns() -> tuple[Any, ...]:
    from rich import progress  # noqa: PLC0415  # slow to import

    return (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )


def _print_checks(
    checks: tuple[FileCheck, ...], damaged: list[FileCheck], repaired: int
) -> None:
    if damaged:
        rows = [
            (check.repo_id, check.name, str(check.state), check.detail)
            for check in damaged
        ]
        print_table(("Model", "File", "State", "What is wrong"), rows)
        print_text("Repair it: vllm-pkg model verify --repair")
        return
    mended = f"; {repaired} were fetched again" if repaired else ""
    print_text(f"{len(checks)} files are in order{mended}.")

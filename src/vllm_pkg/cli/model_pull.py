"""``vllm-pkg model pull`` and ``model verify``: fetching ahead, and checking."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JsonOption, print_json, print_table, print_text
from vllm_pkg.errors import NoModelSelected, PresetDoesNotFit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    from vllm_pkg.models.download.progress import Transfer
    from vllm_pkg.models.download.transfer import Circumstances
    from vllm_pkg.models.download.verify import FileCheck
    from vllm_pkg.settings import Settings

EXIT_DAMAGED = 1


def register(app: typer.Typer) -> None:
    """Add the commands to a group."""
    app.command("pull")(pull_model)
    app.command("verify")(verify_model)


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
    json: JsonOption = False,
) -> None:
    """Fetch a model into the cache, or go on with it, without selecting it."""
    from vllm_pkg.models.download.ensure import ensure_needs  # noqa: PLC0415
    from vllm_pkg.models.download.needs import read_needs  # noqa: PLC0415

    settings = current_settings()
    serve_args = _arguments(settings, model)
    if revision:
        serve_args += ("--revision", revision)
    needs = read_needs(serve_args, os.path.isdir)
    with _bar(is_quiet=json) as show:
        report = ensure_needs(
            settings, needs, _circumstances(settings), show, is_refresh=True
        )
    if json:
        print_json(
            {
                "repositories": list(report.repositories),
                "bytes_fetched": report.bytes_fetched,
                "complete": report.is_complete,
            }
        )
        return
    names = ", ".join(report.repositories)
    print_text(f"Complete in the cache: {names}." if names else "Nothing to fetch.")


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
    json: JsonOption = False,
) -> None:
    """Check the files in the cache: sizes and headers at once, all content if asked."""
    from vllm_pkg.models.download.repair import repair_files  # noqa: PLC0415

    settings = current_settings()
    checks = _check(settings, model, is_full=full, is_quiet=json)
    damaged = [check for check in checks if not check.is_ok]
    repaired = 0
    if repair and damaged:
        with _bar(is_quiet=json) as show:
            repair_files(settings, damaged, _circumstances(settings), show)
        repaired = len(damaged)
        checks = _check(settings, model, is_full=full, is_quiet=json)
    still = [check for check in checks if not check.is_ok]
    if json:
        documents = [check.as_json() for check in checks]
        print_json({"files": documents, "damaged": len(still), "repaired": repaired})
    else:
        _print_checks(checks, still, repaired)
    if still:
        raise typer.Exit(EXIT_DAMAGED)


def _arguments(settings: Settings, model: str) -> tuple[str, ...]:
    """Return the arguments of ``vllm serve`` that name what to fetch."""
    from vllm_pkg.state.store import load_store  # noqa: PLC0415

    if "/" in model:
        return (model,)
    if model:
        return _preset_arguments(settings, model)
    store = load_store(settings)
    if not store.is_model_selected:
        raise NoModelSelected("no model is selected", hint="name one")
    return store.serve_args


def _preset_arguments(settings: Settings, preset_id: str) -> tuple[str, ...]:
    from vllm_pkg.actions.set_model import fit_all  # noqa: PLC0415
    from vllm_pkg.models.presets import find_preset  # noqa: PLC0415

    preset = find_preset(preset_id)
    fit = next(item for item in fit_all(settings) if item.preset.id == preset.id)
    if not fit.serve_args:
        raise PresetDoesNotFit(
            f"{preset.name} does not fit this machine: {fit.reason}",
            hint="name a repository to fetch it all the same",
        )
    return fit.serve_args


def _circumstances(settings: Settings) -> Circumstances:
    from vllm_pkg.engine.hub_token import hub_variables  # noqa: PLC0415
    from vllm_pkg.models.download.ensure import make_circumstances  # noqa: PLC0415
    from vllm_pkg.state.store import load_store  # noqa: PLC0415

    # The same token and the same proxy as the engine has.
    serve_env = load_store(settings).serve_env
    chosen = hub_variables(settings, serve_env)
    chosen |= {item.name: item.value for item in serve_env}
    return make_circumstances(settings, os.environ | chosen, lambda: False)


def _check(
    settings: Settings, model: str, *, is_full: bool, is_quiet: bool
) -> tuple[FileCheck, ...]:
    from vllm_pkg.models.download.verify import verify_models  # noqa: PLC0415

    with _terminal_bar(is_quiet=is_quiet) as bar:
        task = bar.add_task("Checking", total=None) if bar else None

        def read(name: str, size_bytes: int) -> None:
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

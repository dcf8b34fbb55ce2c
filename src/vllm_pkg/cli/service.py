"""``vllm-pkg run``, ``init``, ``daemon``, ``health`` and ``status``: the service."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Annotated

import typer

from vllm_pkg.cli.completion import complete_model
from vllm_pkg.cli.context import current_settings, overridden_settings
from vllm_pkg.cli.output import ErrorsJsonOption, JsonOption, print_json, print_text
from vllm_pkg.cli.typed_text import TextCommand
from vllm_pkg.errors import InvalidArgument, StateWriteFailed
from vllm_pkg.settings_table import Profile


class InitKind(StrEnum):
    """Why `init` runs, in StartOS's words."""

    INSTALL = "install"
    UPDATE = "update"
    RESTORE = "restore"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("run")(run_service)
    app.command("init")(init_state)
    app.command("daemon")(run_daemon)
    app.command("health", cls=TextCommand)(show_health)
    app.command("status")(show_status)


def run_service(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            help="Select this first: a preset, a repository (org/name) or a folder.",
            metavar="PRESET|REPO|FOLDER",
            autocompletion=complete_model,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address of the API; 0.0.0.0 shares it on the network."),
    ] = None,
    port: Annotated[str | None, typer.Option(help="Port of the API.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Select a preset that does not fit.")
    ] = False,
    no_default: Annotated[
        bool,
        typer.Option(
            "--no-default",
            help="With nothing selected: wait for Set Model, not the test model.",
        ),
    ] = False,
    _json: ErrorsJsonOption = False,
) -> None:
    """Serve on this machine, in the foreground, until Ctrl-C."""
    from vllm_pkg.cli import foreground  # noqa: PLC0415

    settings = overridden_settings({"host": host, "port": port})
    default = None if no_default else foreground.DEFAULT_MODEL
    foreground.run(settings, model=model, default=default, force=force)


def init_state(
    *,
    kind: Annotated[
        InitKind, typer.Option(help="Why: after an install, an update or a restore.")
    ] = InitKind.INSTALL,
    json: JsonOption = False,
) -> None:
    """Bring state into order: key, data of older versions, pending tasks."""
    from vllm_pkg.actions.tasks import pending_tasks  # noqa: PLC0415
    from vllm_pkg.engine.daemon import prepare_state  # noqa: PLC0415
    from vllm_pkg.state.portal_token import ensure_portal_token  # noqa: PLC0415

    settings = current_settings()
    prepare_state(settings)
    if settings.profile is not Profile.STARTOS:
        # StartOS has pages of its own. On a full disk the portal makes it later.
        with contextlib.suppress(StateWriteFailed):
            ensure_portal_token(settings)
    tasks = [task.as_json() for task in pending_tasks(settings)]
    if json:
        print_json({"kind": kind.value, "tasks": tasks})
        return
    print_text(f"The state in {settings.main} is in order.")
    for task in tasks:
        print_text(f"To do ({task['severity']}): {task['reason']}.")


def run_daemon(
    *,
    only_print: Annotated[
        bool,
        typer.Option(
            "--print", help="Change nothing: print what would be run, as JSON."
        ),
    ] = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="With --print: print the key too.")
    ] = False,
    _json: ErrorsJsonOption = False,
) -> None:
    """Run the main process: idle without a model, or become the engine."""
    from vllm_pkg.engine import daemon  # noqa: PLC0415
    from vllm_pkg.hosts.standalone.control import check_no_other_host  # noqa: PLC0415

    settings = current_settings()
    if only_print:
        plan = daemon.preview_start(settings)
        print_json(plan.as_json(show_secrets=show_secrets))
        return
    check_no_other_host(settings)
    raise typer.Exit(daemon.run_daemon(settings))


def show_health(
    *,
    check: Annotated[
        str | None, typer.Option("--check", help="Only this check, by its id.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """
    Check the health of the API, and of the download of its model.

    Exit codes: 0 success, 59 disabled, 60 starting, 61 loading, 1 failure; without
    --check they are those of the API.
    """
    from vllm_pkg.health.checker import CHECK_ID, DOWNLOAD_ID, Result  # noqa: PLC0415
    from vllm_pkg.health.probe import check_all  # noqa: PLC0415

    if check not in {None, CHECK_ID, DOWNLOAD_ID}:
        raise InvalidArgument(
            f"there is no health check {check!r}",
            hint=f"there are {CHECK_ID} and {DOWNLOAD_ID}",
        )
    found = check_all(current_settings())
    shown = [health for health in found if check in {None, health.id}]
    if json:
        documents = [health.as_json() for health in shown]
        print_json(documents[0] if check else documents)
    else:
        for health in shown:
            # People need not read of a download that there is not.
            if health is shown[0] or health.result is not Result.DISABLED:
                print_text(f"{health.name}: {health.result.value}: {health.message}")
    raise typer.Exit(shown[0].exit_code)


def show_status(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew each second, until Ctrl-C.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show the whole picture: model, health, address, memory, disk, tasks."""
    from vllm_pkg.cli import status  # noqa: PLC0415
    from vllm_pkg.service.status import collect  # noqa: PLC0415

    if watch and json:
        raise InvalidArgument("--watch is for people", hint="leave out --json")
    settings = current_settings()
    if watch:
        status.watch(settings)
    elif json:
        print_json(collect(settings))
    else:
        print_text(status.describe(collect(settings)))

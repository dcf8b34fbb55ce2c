"""``vllm-pkg model list`` and ``model remove``: what is in the model cache."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JsonOption, print_json, print_table, print_text
from vllm_pkg.errors import InvalidArgument, UsageError

if TYPE_CHECKING:
    from vllm_pkg.actions.model_removal import ModelsInUse
    from vllm_pkg.models.cache import CachedModel, CachedRevision
    from vllm_pkg.models.deletion import DeletionReport
    from vllm_pkg.models.deletion_plan import DeletionPlan

COMMIT_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add the commands to a group."""
    app.command("list")(list_models)
    app.command("remove")(remove_model)


def list_models(*, json: JsonOption = False) -> None:
    """List the models in the cache, with their revisions and sizes."""
    from vllm_pkg.actions.model_removal import models_in_use  # noqa: PLC0415
    from vllm_pkg.models.cache import list_cached  # noqa: PLC0415

    settings = current_settings()
    if json:
        from vllm_pkg.service.cached_models import cache_json  # noqa: PLC0415

        print_json(cache_json(settings))
        return
    cached, in_use = list_cached(settings), models_in_use(settings)
    header = ("Model", "Size", "Frees", "Last used", "State")
    rows = [row for entry in cached for row in _rows(entry, in_use)]
    print_table(header, rows)


def remove_model(
    model: Annotated[str, typer.Argument(help="Such as org/name.", metavar="MODEL")],
    *,
    revision: Annotated[
        str | None,
        typer.Option(help="Only this one: a commit, its beginning, or such as main."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and remove nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Remove a model, or one revision of it, after showing what that frees."""
    from vllm_pkg.actions.model_removal import check_plan, remove  # noqa: PLC0415
    from vllm_pkg.models.deletion_plan import plan_deletion  # noqa: PLC0415

    settings = current_settings()
    if revision == "":
        raise InvalidArgument("--revision is empty", hint="name one, or leave it out")
    plan = plan_deletion(settings, model, revision)
    check_plan(settings, plan)
    if not json:
        print_text(_describe(plan))
    report = None
    if not dry_run:
        if not yes:
            _confirm(as_json=json)
        report, _ = remove(settings, plan)
    if json:
        from vllm_pkg.service import cached_models  # noqa: PLC0415

        done = cached_models.report_json(report)
        print_json({"plan": cached_models.plan_json(plan), "result": done})
    elif report is not None:
        print_text(_summary(report))


def _confirm(*, as_json: bool) -> None:
    if as_json or not sys.stdin.isatty():
        raise UsageError(
            "nothing was removed: there is nobody to ask",
            hint="add --yes to remove it, or --dry-run to see the plan only",
        )
    typer.confirm("Remove it?", abort=True)


def _rows(entry: CachedModel, in_use: ModelsInUse) -> list[tuple[str, ...]]:
    from vllm_pkg.service.cached_models import instant  # noqa: PLC0415
    from vllm_pkg.state.keys import time_text  # noqa: PLC0415

    used = time_text(instant(entry.last_used_s))
    sizes = (_size(entry.size_bytes), _size(entry.own_bytes))
    state = _state(entry, is_in_use=in_use.uses(entry))
    rows: list[tuple[str, ...]] = [(entry.key, *sizes, used, state)]
    for revision in entry.revisions:
        names = ", ".join((revision.commit[:COMMIT_SHOWN], *revision.refs))
        rows.append(
            (
                f"  {names}",
                *(_size(revision.size_bytes), _size(revision.own_bytes)),
                "",
                _revision_state(entry, revision, in_use),
            )
        )
    return rows


def _state(entry: CachedModel, *, is_in_use: bool) -> str:
    if entry.kind == "leftover":
        return "left by an interrupted deletion"
    words = ["partial" if entry.is_partial else "complete"]
    return ", ".join(words + ["in use"] * is_in_use)


def _revision_state(
    entry: CachedModel, revision: CachedRevision, in_use: ModelsInUse
) -> str:
    words = ["partial" if revision.is_partial else "complete"]
    return ", ".join(words + ["in use"] * in_use.uses_revision(entry, revision))


def _describe(plan: DeletionPlan) -> str:
    what = plan.model.key
    if plan.commit is not None:
        what = f"revision {plan.commit[:COMMIT_SHOWN]} of {what}"
    refs = f" ({', '.join(plan.refs)})" if plan.refs else ""
    lines = [
        f"To be removed: {what}{refs}",
        f"Files:         {plan.files}, {_size(plan.size_bytes)}",
        f"Frees:         {_size(plan.freed_bytes)}",
    ]
    if plan.shared_bytes:
        lines.append(
            f"Stays:         {_size(plan.shared_bytes)}, which something else needs"
        )
    if plan.leftover_bytes:
        swept = _size(plan.leftover_bytes)
        lines.append(f"Also frees:    {swept}, left by interrupted deletions")
    return "\n".join(lines)


def _summary(report: DeletionReport) -> str:
    text = f"Removed {report.files} files and freed {_size(report.freed_bytes)}"
    if report.leftover_bytes:
        text += f", and {_size(report.leftover_bytes)} left by interrupted deletions"
    return f"{text}."


def _size(size_bytes: int) -> str:
    from vllm_pkg.actions.delete_model_cache import size_text  # noqa: PLC0415

    return size_text(size_bytes)

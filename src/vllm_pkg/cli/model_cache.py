"""``vllm-pkg model list`` and ``model remove``: what is in the model cache."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

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
    cached, in_use = list_cached(settings), models_in_use(settings)
    if json:
        documents = [_model_json(entry, in_use) for entry in cached]
        print_json({"path": str(settings.models_dir), "models": documents})
        return
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
        print_json({"plan": _plan_json(plan), "result": _report_json(report)})
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
    from vllm_pkg.state.keys import time_text  # noqa: PLC0415

    used = time_text(_instant(entry.last_used_s))
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


def _model_json(entry: CachedModel, in_use: ModelsInUse) -> dict[str, Any]:
    return {
        "model": entry.key,
        "repository": entry.repo_id,
        "kind": str(entry.kind),
        "path": str(entry.path),
        "sizeBytes": entry.size_bytes,
        "freesBytes": entry.own_bytes,
        "partialBytes": entry.partial_bytes,
        "isPartial": entry.is_partial,
        "isInUse": in_use.uses(entry),
        "lastUsed": _instant(entry.last_used_s).isoformat(),
        "revisions": [
            {
                "commit": item.commit,
                "refs": list(item.refs),
                "sizeBytes": item.size_bytes,
                "freesBytes": item.own_bytes,
                "files": item.files,
                "lastModified": _instant(item.last_modified_s).isoformat(),
                "isPartial": item.is_partial,
                "isInUse": in_use.uses_revision(entry, item),
            }
            for item in entry.revisions
        ],
    }


def _plan_json(plan: DeletionPlan) -> dict[str, Any]:
    return {
        "model": plan.model.key,
        "commit": plan.commit,
        "refs": list(plan.refs),
        "files": plan.files,
        "sizeBytes": plan.size_bytes,
        "freesBytes": plan.freed_bytes,
        "sharedBytes": plan.shared_bytes,
        "leftoverBytes": plan.leftover_bytes,
    }


def _report_json(report: DeletionReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "freedBytes": report.freed_bytes,
        "leftoverBytes": report.leftover_bytes,
        "files": report.files,
    }


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


def _instant(seconds: float) -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)

"""The model cache as documents: what is in it, and what a removal does."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vllm_pkg.actions.model_removal import check_plan, models_in_use, remove
from vllm_pkg.errors import NotAllowedInState
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.deletion_plan import plan_deletion

if TYPE_CHECKING:
    from vllm_pkg.actions.model_removal import ModelsInUse
    from vllm_pkg.models.cache import CachedModel
    from vllm_pkg.models.deletion import DeletionReport
    from vllm_pkg.models.deletion_plan import DeletionPlan
    from vllm_pkg.settings import Settings


def cache_json(settings: Settings) -> dict[str, Any]:
    """
    Return every model of the cache, with its revisions and sizes.

    Raises:
        ServiceError: the cache or the state cannot be read.
    """
    cached, in_use = list_cached(settings), models_in_use(settings)
    documents = [_model_json(entry, in_use) for entry in cached]
    return {"path": str(settings.models_dir), "models": documents}


def plan_json(plan: DeletionPlan) -> dict[str, Any]:
    """Return what a removal would do."""
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


def removal_plan_json(
    settings: Settings, key: str, revision: str | None
) -> dict[str, Any]:
    """
    Return what a removal would do, with an id to do just that.

    Args:
        settings: Where the cache is.
        key: An entry of the cache, as `cache_json` names it in ``model``.
        revision: Only this one: a commit, its beginning, or such as ``main``.
    Raises:
        NotInCache: it is not there.
        ModelInUse: it may not be removed now; the message says why.
        ServiceError: the cache or the state cannot be read.
    """
    return _with_id(_plan(settings, key, revision))


def remove_as_planned(
    settings: Settings, key: str, revision: str | None, plan_id: str
) -> dict[str, Any]:
    """
    Remove what a plan has shown.

    Args:
        settings: Where the cache is.
        key: As it was given for the plan.
        revision: As it was given for the plan.
        plan_id: The plan's id.
    Returns:
        What was done, as `report_json`.
    Raises:
        NotAllowedInState: it would remove something else by now.
        NotInCache: it is not there.
        ModelInUse: it may not be removed now; the message says why.
        DeletionIncomplete: some files could not be removed.
        ServiceError: the cache or the state cannot be read.
    """
    plan = _plan(settings, key, revision)
    if _with_id(plan)["id"] != plan_id:
        raise NotAllowedInState(
            "the cache has changed since the plan was shown", hint="look at it again"
        )
    report, _ = remove(settings, plan)
    return _done_json(report)


def _plan(settings: Settings, key: str, revision: str | None) -> DeletionPlan:
    plan = plan_deletion(settings, key, revision)
    check_plan(settings, plan)
    return plan


def _with_id(plan: DeletionPlan) -> dict[str, Any]:
    document = plan_json(plan)
    text = json.dumps(document, sort_keys=True)
    return document | {"id": hashlib.sha256(text.encode()).hexdigest()[:16]}


def report_json(report: DeletionReport | None) -> dict[str, Any] | None:
    """Return what a removal did; None when it was not made."""
    return None if report is None else _done_json(report)


def _done_json(report: DeletionReport) -> dict[str, Any]:
    return {
        "freedBytes": report.freed_bytes,
        "leftoverBytes": report.leftover_bytes,
        "files": report.files,
    }


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
        "lastUsed": instant(entry.last_used_s).isoformat(),
        "revisions": [
            {
                "commit": item.commit,
                "refs": list(item.refs),
                "sizeBytes": item.size_bytes,
                "freesBytes": item.own_bytes,
                "files": item.files,
                "lastModified": instant(item.last_modified_s).isoformat(),
                "isPartial": item.is_partial,
                "isInUse": in_use.uses_revision(entry, item),
            }
            for item in entry.revisions
        ],
    }


def instant(seconds: float) -> datetime:
    """Return a time of the wall clock, in whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)

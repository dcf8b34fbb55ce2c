"""The model cache as documents: what is in it, and what a removal does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vllm_pkg.actions.model_removal import models_in_use
from vllm_pkg.models.cache import list_cached

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


def report_json(report: DeletionReport | None) -> dict[str, Any] | None:
    """Return what a removal did; None when it was not made."""
    if report is None:
        return None
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

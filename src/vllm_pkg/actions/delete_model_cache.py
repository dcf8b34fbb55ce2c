"""
Delete Model Cache: frees the disk space of a downloaded model, or of one revision.

The form is the plan: each choice says what it holds and, where that differs, what
removing it would free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from vllm_pkg.actions import forms
from vllm_pkg.actions.model_removal import models_in_use, remove
from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult
from vllm_pkg.models.cache import CachedModel, Kind, list_cached
from vllm_pkg.models.deletion_plan import plan_deletion

if TYPE_CHECKING:
    from vllm_pkg.actions.model_removal import ModelsInUse
    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.models.cache import CachedRevision

CACHED: Final = "cached"
TYPED: Final = "typed"
REPOSITORY_REGEX: Final = r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$"
# No repository and no commit has it in its name.
REVISION_MARK: Final = "@"
COMMIT_SHOWN: Final = 12
_UNITS: Final = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


class DeleteModelCache:
    """Deletes one model from the cache and says what that freed."""

    id: ClassVar[str] = "delete-model-cache"
    has_input: ClassVar[bool] = True

    def input(self, context: ActionContext) -> ActionInput:
        """
        Return the form: what is in the cache now with its size, or a typed name.

        Raises:
            CacheError: the cache cannot be read.
        """
        cached = list_cached(context.settings)
        labels = _labels(cached, models_in_use(context.settings))
        first = next(iter(labels), None)
        chosen = forms.variant(
            "A model in the cache" if labels else "A model in the cache - it is empty",
            {"repo": forms.select("Model", labels, default=first)},
        )
        typed = forms.variant("Another name", {"repo": _typed_field()})
        return ActionInput(
            {
                "model": forms.union(
                    "Model",
                    {CACHED: chosen, TYPED: typed},
                    default=CACHED if labels else TYPED,
                    disabled=[] if labels else [CACHED],
                ),
                "clearSelection": forms.toggle(
                    "Also clear the selection",
                    default=False,
                    description=(
                        "The selected model is deleted only with this switch on. "
                        "Nothing is served then until another model is set."
                    ),
                ),
            }
        )

    def run(self, context: ActionContext, value: dict[str, Any]) -> ActionOutcome:
        """
        Delete the model or the revision.

        Raises:
            NotInCache: it is not in the cache.
            ModelInUse: it is the selected one, and the selection is to stay; or it is
                being downloaded.
            DeletionIncomplete: some files could not be removed.
            StateError: the selection cannot be read or cleared.
        """
        key, revision = _split(value["model"]["value"]["repo"])
        plan = plan_deletion(context.settings, key, revision)
        report, is_cleared = remove(
            context.settings, plan, may_clear=value["clearSelection"]
        )
        name = plan.model.repo_id
        if plan.commit is not None:
            name = f"revision {plan.commit[:COMMIT_SHOWN]} of {name}"
        message = f"Deleted {name} and freed {size_text(report.freed_bytes)}."
        if report.leftover_bytes:
            swept = size_text(report.leftover_bytes)
            message += f" What interrupted deletions had left gave another {swept}."
        if is_cleared:
            message += " No model is selected any more."
        result = ActionResult("Model Deleted", message)
        return ActionOutcome(result, needs_restart=is_cleared)


def size_text(size_bytes: int) -> str:
    """Return a size for people, such as ``4.1 GiB``."""
    for unit, unit_bytes in _UNITS:
        # From where rounding to one decimal gives at least 1.0.
        if size_bytes >= 0.95 * unit_bytes:
            return f"{size_bytes / unit_bytes:.1f} {unit}"
    return f"{size_bytes} bytes"


def _typed_field() -> forms.Field:
    return forms.text(
        "Repository",
        required=True,
        placeholder="org/name",
        description="The model's name on the Hugging Face hub",
        patterns=[
            forms.Pattern(
                regex=REPOSITORY_REGEX, description="a repository such as org/name"
            )
        ],
    )


def _split(chosen: str) -> tuple[str, str | None]:
    """Return the repository and the revision of it that a choice names."""
    if chosen.startswith(f"{Kind.LEFTOVER}/"):
        return chosen, None
    key, _, revision = chosen.partition(REVISION_MARK)
    return key, revision or None


def _labels(cached: tuple[CachedModel, ...], in_use: ModelsInUse) -> dict[str, str]:
    labels = {}
    for entry in cached:
        labels[entry.key] = _label(entry, is_in_use=in_use.uses(entry))
        if len(entry.revisions) > 1 and entry.kind is not Kind.LEFTOVER:
            for revision in entry.revisions:
                key = f"{entry.key}{REVISION_MARK}{revision.commit}"
                is_used = in_use.uses_revision(entry, revision)
                labels[key] = _revision_label(entry, revision, is_in_use=is_used)
    return labels


def _label(entry: CachedModel, *, is_in_use: bool) -> str:
    size = size_text(entry.size_bytes)
    if entry.kind is Kind.LEFTOVER:
        return f"{entry.repo_id} ({size}, left by an interrupted deletion)"
    kind = "" if entry.kind is Kind.MODEL else f"{entry.kind.value} "
    facts = [size]
    if entry.own_bytes != entry.size_bytes:
        facts.append(f"frees {size_text(entry.own_bytes)}")
    facts += ["incomplete"] * entry.is_partial + ["in use"] * is_in_use
    return f"{kind}{entry.repo_id} ({', '.join(facts)})"


def _revision_label(
    entry: CachedModel, revision: CachedRevision, *, is_in_use: bool
) -> str:
    names = ", ".join((revision.commit[:COMMIT_SHOWN], *revision.refs))
    facts = [f"frees {size_text(revision.own_bytes)}"]
    facts += ["incomplete"] * revision.is_partial + ["in use"] * is_in_use
    return f"{entry.repo_id}, only revision {names} ({', '.join(facts)})"

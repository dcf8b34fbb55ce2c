"""Delete Model Cache: frees the disk space of a downloaded model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from vllm_pkg.actions import forms
from vllm_pkg.actions.protocol import ActionInput, ActionOutcome, ActionResult
from vllm_pkg.engine.arguments import models_named
from vllm_pkg.errors import ModelInUse
from vllm_pkg.models.cache import (
    CachedModel,
    Kind,
    delete_model,
    list_cached,
    plan_deletion,
)
from vllm_pkg.state.store import load_store, update_store

if TYPE_CHECKING:
    from vllm_pkg.actions.protocol import ActionContext
    from vllm_pkg.settings import Settings

CACHED: Final = "cached"
TYPED: Final = "typed"
REPOSITORY_REGEX: Final = r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$"
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
        labels = {entry.key: _label(entry) for entry in cached}
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
        Delete the model.

        Raises:
            NotInCache: it is not in the cache.
            ModelInUse: it is the selected one, and the selection is to stay.
            DeletionIncomplete: some files could not be removed.
            StateError: the selection cannot be read or cleared.
        """
        settings = context.settings
        entry = plan_deletion(settings, value["model"]["value"]["repo"])
        is_in_use = _is_in_use(settings, entry)
        if is_in_use:
            if not value["clearSelection"]:
                raise ModelInUse(f"{entry.repo_id} is part of the selected model")
            # First, so that an interrupted deletion does not start a new download.
            update_store(settings, lambda store: store.without_model())
        report = delete_model(settings, entry.key)
        message = f"Deleted {entry.repo_id} and freed {size_text(report.freed_bytes)}."
        if report.leftover_bytes:
            swept = size_text(report.leftover_bytes)
            message += f" What interrupted deletions had left gave another {swept}."
        if is_in_use:
            message += " No model is selected any more."
        result = ActionResult("Model Deleted", message)
        return ActionOutcome(result, needs_restart=is_in_use)


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


def _label(entry: CachedModel) -> str:
    size = size_text(entry.size_bytes)
    if entry.kind is Kind.LEFTOVER:
        return f"{entry.repo_id} ({size}, left by an interrupted deletion)"
    kind = "" if entry.kind is Kind.MODEL else f"{entry.kind.value} "
    state = ", incomplete" if entry.is_partial else ""
    return f"{kind}{entry.repo_id} ({size}{state})"


def _is_in_use(settings: Settings, entry: CachedModel) -> bool:
    if entry.kind is not Kind.MODEL:
        return False
    return entry.repo_id in models_named(load_store(settings).serve_args)

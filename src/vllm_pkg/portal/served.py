"""What is served, as people call it: pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.presets import Task, load_presets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RUNNER: Final = "--runner"
_POOLING: Final = "pooling"


def model_name(model: Mapping[str, Any]) -> str:
    """
    Return how people call a model.

    Args:
        model: With ``selection``, ``servedName`` and ``source``, as the status tells.
    Returns:
        The name of its preset, or under which clients ask for it; empty: there is none.
    """
    for preset in load_presets():
        if preset.id == model["selection"]:
            return preset.name
    return str(model["servedName"] or "")


def is_embedding(selection: str | None, serve_args: Sequence[str]) -> bool:
    """
    Return whether a model answers with embeddings rather than with words.

    Args:
        selection: Id of its preset, or another text.
        serve_args: The arguments it is served with.
    """
    for preset in load_presets():
        if preset.id == selection:
            return preset.task is Task.EMBEDDING
    given = list(serve_args)
    return f"{_RUNNER}={_POOLING}" in given or any(
        pair == (_RUNNER, _POOLING) for pair in itertools.pairwise(given)
    )

"""What the shell offers when Tab is pressed; read only then."""

from __future__ import annotations

from vllm_pkg.errors import ServiceError


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Return the presets that begin so, each with the model's name."""
    from vllm_pkg.models.presets import load_presets  # noqa: PLC0415  # slow

    try:
        presets = load_presets()
    except ServiceError:
        # The command itself tells what is wrong; a prompt is no place for it.
        return []
    return [(item.id, item.name) for item in presets if item.id.startswith(incomplete)]


def complete_action(incomplete: str) -> list[str]:
    """Return the ids of the actions that begin so."""
    from vllm_pkg.actions.registry import ACTIONS  # noqa: PLC0415  # slow

    return [action.id for action in ACTIONS if action.id.startswith(incomplete)]

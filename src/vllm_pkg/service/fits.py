"""What could run on this machine: the presets, and any other model that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.actions.fit_answer import assess_in_time
from vllm_pkg.actions.set_model import fit_all
from vllm_pkg.engine.arguments import split_arguments
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.models.fit import force_preset
from vllm_pkg.models.local import find_places
from vllm_pkg.models.presets import load_presets
from vllm_pkg.models.sizing.wording import as_json
from vllm_pkg.service.acting import action_context
from vllm_pkg.state.store import load_store
from vllm_pkg.state.switch import Selected

if TYPE_CHECKING:
    from vllm_pkg.models.fit import PresetFit
    from vllm_pkg.settings import Settings

# A person who asks waits; the Hub may take long, or not answer at all.
ANSWER_MAX_S: Final = 15.0


def presets_json(settings: Settings) -> list[dict[str, Any]]:
    """
    Return every preset, whether it fits this machine, and if not why.

    Raises:
        ServiceError: the machine cannot be looked at.
    """
    return [_preset_json(fit) for fit in fit_all(settings)]


def fit_json(settings: Settings, model: str, arguments: str = "") -> dict[str, Any]:
    """
    Say whether a model runs here, before a byte of it is downloaded.

    Args:
        settings: Settings in force.
        model: A preset, or a repository such as ``org/name``.
        arguments: Further arguments of ``vllm serve``, quoted as in a shell.
    Returns:
        The verdict ``runs``, ``runs-with-change``, ``does-not-run`` or ``unknown``,
        with its reason, what to change and what it would need.
    Raises:
        InvalidArgument: a quote stays open, or a control character stands in it.
        PresetDoesNotFit: the preset has no configuration for this kind of machine.
        ServiceError: the state cannot be read.
    """
    more = split_arguments(arguments, ("arguments",)) if arguments.strip() else ()
    serve_args = (*_serve_args(settings, model), *more)
    target = Selected(serve_args, load_store(settings).serve_env)
    context = action_context(settings)
    return as_json(assess_in_time(context, target, ANSWER_MAX_S))


def _serve_args(settings: Settings, model: str) -> tuple[str, ...]:
    """Return the arguments of a preset on this machine, or the model alone."""
    for preset in load_presets():
        if preset.id == model:
            hardware = detect_hardware(settings)
            return force_preset(preset, hardware, find_places(settings)).serve_args
    return (model,)


def _preset_json(fit: PresetFit) -> dict[str, Any]:
    return {
        "id": fit.preset.id,
        "name": fit.preset.name,
        "task": fit.preset.task.value,
        "fits": fit.reason is None,
        "isEstimated": fit.is_estimated,
        "reason": fit.reason,
        "memoryNeededGib": fit.memory_needed_gib,
        "contextTokens": fit.context_tokens,
        "tensorParallel": fit.tensor_parallel,
        "serveArgs": list(fit.serve_args),
    }

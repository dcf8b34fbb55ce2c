"""What is fetched for a preset, a repository or the selection, and under what."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vllm_pkg.actions.set_model import fit_all
from vllm_pkg.engine.hub_token import hub_variables
from vllm_pkg.errors import NoModelSelected, PresetDoesNotFit
from vllm_pkg.models.download.ensure import make_circumstances
from vllm_pkg.models.presets import find_preset
from vllm_pkg.service import jobs
from vllm_pkg.state.store import load_store

if TYPE_CHECKING:
    from vllm_pkg.models.download.transfer import Circumstances
    from vllm_pkg.settings import Settings


def pull(settings: Settings, model: str, revision: str = "") -> jobs.Job:
    """
    Begin to fetch a model into the cache, or go on with it, in the background.

    Args:
        settings: Where the cache is.
        model: A preset, or a repository such as ``org/name``; empty: the selected one.
        revision: A branch, tag or commit; empty: the usual one.
    Returns:
        The job; `vllm_pkg.service.jobs.find_job` tells how far it is.
    Raises:
        NoModelSelected: no model is named, and none is selected.
        PresetUnknown: there is no preset of that name.
        PresetDoesNotFit: the preset cannot run here.
        StateWriteFailed: the job cannot be written down.
    """
    # Told now, and not by a job that fails.
    serve_arguments(settings, model)
    options = ("--revision", revision) if revision else ()
    return jobs.start_job(settings, jobs.Kind.PULL, model, *options)


def verify(
    settings: Settings, model: str, *, is_full: bool, is_repair: bool
) -> jobs.Job:
    """
    Begin to check the files of the cache, in the background.

    Args:
        settings: Where the cache is.
        model: Which model, such as ``org/name``; empty: all of them.
        is_full: Whether to read all content and compare its hash.
        is_repair: Whether to fetch again what is damaged.
    Returns:
        The job.
    Raises:
        StateWriteFailed: the job cannot be written down.
    """
    options = ["--full"] * is_full + ["--repair"] * is_repair
    return jobs.start_job(settings, jobs.Kind.VERIFY, model, *options)


def serve_arguments(settings: Settings, model: str) -> tuple[str, ...]:
    """
    Return the arguments of ``vllm serve`` that name what to fetch.

    Args:
        settings: Whose selection it may be.
        model: A preset, or a repository such as ``org/name``; empty: the selected one.
    Raises:
        NoModelSelected: no model is named, and none is selected.
        PresetUnknown: there is no preset of that name.
        PresetDoesNotFit: the preset cannot run here.
        StateError: the selection cannot be read.
    """
    if "/" in model:
        return (model,)
    if model:
        return _preset_arguments(settings, model)
    store = load_store(settings)
    if not store.is_model_selected:
        raise NoModelSelected("no model is selected", hint="name one")
    return store.serve_args


def circumstances(settings: Settings) -> Circumstances:
    """
    Return under what a transfer runs: the same token and proxy as the engine has.

    Raises:
        StateError: the selection or the token cannot be read.
    """
    serve_env = load_store(settings).serve_env
    chosen = hub_variables(settings, serve_env)
    chosen |= {item.name: item.value for item in serve_env}
    return make_circumstances(settings, os.environ | chosen, lambda: False)


def _preset_arguments(settings: Settings, preset_id: str) -> tuple[str, ...]:
    preset = find_preset(preset_id)
    fit = next(item for item in fit_all(settings) if item.preset.id == preset.id)
    if not fit.serve_args:
        raise PresetDoesNotFit(
            f"{preset.name} does not fit this machine: {fit.reason}",
            hint="name a repository to fetch it all the same",
        )
    return fit.serve_args

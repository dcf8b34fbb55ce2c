"""What a start that became ready teaches the estimates of memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vllm_pkg.engine.fit_request import build_request
from vllm_pkg.engine.recorder.history import start_id
from vllm_pkg.errors import ServiceError
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.models.sizing.assess import note_measured
from vllm_pkg.models.sizing.learned import Memory
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.engine.recorder.measured import MeasuredMemory
    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord


def learn(
    settings: Settings,
    start: StartRecord,
    measured: MeasuredMemory,
    environ: Mapping[str, str],
) -> bool:
    """
    Compare what vLLM logged with what would have been predicted, and keep both.

    Args:
        settings: Where the estimates and the selection are.
        start: The start that became ready.
        measured: What its log told.
        environ: The recorder's environment; the engine had it too.
    Returns:
        Whether anything was kept. Nothing is when another model has been selected
        meanwhile, when the log told nothing, or when a prediction is not possible.
    """
    if measured.weights_gib is None and measured.kv_cache_tokens is None:
        return False
    try:
        store = observe_store(settings)
        version = load_manifest().engine_version
        if start.key != start_id(store.serve_args, version):
            return False
        hardware = _without_use(detect_hardware(settings))
        own = {item.name: item.value for item in store.serve_env}
        request = build_request(store.serve_args, hardware, {**environ, **own})
        memory = Memory(
            measured.weights_gib, measured.kv_cache_gib, measured.kv_cache_tokens
        )
        return note_measured(settings, hardware, request, memory)
    except ServiceError:
        # An estimate is an aid: a start is not disturbed for it.
        return False


def _without_use(hardware: Hardware) -> Hardware:
    """Return the machine as it was before the engine took its memory."""
    gpus = tuple(replace(gpu, free_gib=None) for gpu in hardware.gpus)
    return replace(hardware, gpus=gpus, system_free_gib=None)

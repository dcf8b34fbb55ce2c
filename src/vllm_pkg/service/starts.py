"""How the starts of the engine went: the present one and the earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.recorder.history import read_all_runs
from vllm_pkg.service.status import start_json
from vllm_pkg.state import records

if TYPE_CHECKING:
    from vllm_pkg.engine.recorder.history import StartRun
    from vllm_pkg.settings import Settings


def starts_json(settings: Settings) -> dict[str, Any]:
    """
    Return the present start and those before it that became ready, the newest first.

    Returns:
        ``present``: what `vllm_pkg.service.status.collect` tells of the start, with its
        model and its time; None where no engine runs. ``earlier``: for each one its
        time, its model, its phases with their seconds, their sum, the memory that was
        measured and whether it was of the model that is started now.
    """
    start = records.read_start(settings)
    present = start_json(start, BootClock())
    if present is not None and start is not None:
        named = {"model": start.model, "startedAt": start.started_at or None}
        present = named | present
    present_id = start.key if start is not None else ""
    earlier = [
        _run_json(model, run) | {"isSame": run_id == present_id}
        for run_id, model, run in read_all_runs(settings)
    ]
    earlier.sort(key=lambda run: str(run["startedAt"]), reverse=True)
    return {"present": present, "earlier": earlier}


def _run_json(model: str, run: StartRun) -> dict[str, Any]:
    memory = run.memory
    return {
        "startedAt": run.at,
        "model": model,
        "seconds": round(sum(seconds for _, seconds in run.phases), 1),
        "phases": [
            {"phase": phase.value, "seconds": seconds} for phase, seconds in run.phases
        ],
        "weightsGib": memory.weights_gib,
        "kvCacheGib": memory.kv_cache_gib,
        "kvCacheTokens": memory.kv_cache_tokens,
    }

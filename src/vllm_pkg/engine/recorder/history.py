"""
How long earlier starts took on this machine, and the memory that they measured.

The file is a memory aid: it holds a few starts of a few models, and what cannot be
understood in it counts as not there.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.phases import Phase
from vllm_pkg.engine.recorder.measured import MeasuredMemory
from vllm_pkg.errors import StateError
from vllm_pkg.state import atomic, documents, locks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.settings import Settings

RUNS_KEPT: Final = 5
MODELS_KEPT: Final = 30
_STARTS: Final = "starts"


@dataclass(frozen=True)
class StartRun:
    """
    One start that became ready.

    Args:
        at: UTC time of its start, ISO 8601.
        phases: Its phases with their seconds, in order.
        memory: What it measured.
    """

    at: str
    phases: tuple[tuple[Phase, float], ...]
    memory: MeasuredMemory


def start_id(serve_args: Sequence[str], engine_version: str) -> str:
    """Return the key of all starts with these arguments on this version of vLLM."""
    text = json.dumps([engine_version, *serve_args])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def expected_phases(runs: Sequence[StartRun]) -> dict[Phase, float]:
    """
    Return how many seconds each phase is expected to take; without starts, nothing.

    It is the lower middle one of what was seen: the first start of a model compiles,
    and those after it do not. A download is not learned: its bytes tell more.
    """
    if not runs:
        return {}
    seen = [dict(run.phases) for run in runs[-RUNS_KEPT:]]
    phases = [phase for phase in Phase if phase is not Phase.DOWNLOAD]
    middle = {
        phase: statistics.median_low([run.get(phase, 0.0) for run in seen])
        for phase in phases
    }
    return {phase: seconds for phase, seconds in middle.items() if seconds > 0.0}


def read_runs(settings: Settings, key: str) -> tuple[StartRun, ...]:
    """Return the earlier starts with a key, the oldest first."""
    return tuple(_parse_runs(_read(settings).get(key)))


def read_all_runs(settings: Settings) -> tuple[tuple[str, str, StartRun], ...]:
    """Return every start that is remembered, with its key and its model."""
    return tuple(
        (key, str(entry.get("model", "")), run)
        for key, entry in _read(settings).items()
        if isinstance(entry, dict)
        for run in _parse_runs(entry)
    )


def add_run(settings: Settings, key: str, model: str, run: StartRun) -> None:
    """
    Add a start, and drop the ones that are too many.

    Args:
        settings: Where the file is.
        key: What `start_id` returned.
        model: What is served, for people who read the file.
        run: The start.
    Raises:
        StateWriteFailed: it cannot be written.
        StateLocked: another process held the lock for long.
    """
    with locks.locked(settings.start_lock_file):
        starts = _read(settings)
        runs = [*_parse_runs(starts.pop(key, None)), run][-RUNS_KEPT:]
        # The last one in the file is the one used last.
        starts[key] = {"model": model, "runs": [asdict(item) for item in runs]}
        kept = dict(list(starts.items())[-MODELS_KEPT:])
        data = documents.format_object({_STARTS: kept})
        atomic.write_file(settings.start_history_file, data, is_durable=False)


def _read(settings: Settings) -> dict[str, Any]:
    try:
        document = documents.observe_object(settings.start_history_file) or {}
    except StateError:
        return {}
    starts = document.get(_STARTS)
    return starts if isinstance(starts, dict) else {}


def _parse_runs(value: Any) -> list[StartRun]:
    try:
        return [_parse_run(item) for item in value["runs"]]
    except (KeyError, TypeError, ValueError):
        return []


def _parse_run(value: Any) -> StartRun:
    memory = value["memory"]
    tokens = memory["kv_cache_tokens"]
    return StartRun(
        at=str(value["at"]),
        phases=tuple(
            (Phase(name), max(0.0, float(seconds))) for name, seconds in value["phases"]
        ),
        memory=MeasuredMemory(
            weights_gib=_optional(memory["weights_gib"]),
            kv_cache_gib=_optional(memory["kv_cache_gib"]),
            kv_cache_tokens=None if tokens is None else int(tokens),
        ),
    )


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)

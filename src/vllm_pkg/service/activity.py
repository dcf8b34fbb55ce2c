"""What the status does not tell: use of the API, and what mends the last failure."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.actions.apply_fix import describe_offer
from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.engine.guard.usage import read_usage
from vllm_pkg.health.watcher import read_metrics
from vllm_pkg.service.acting import action_context
from vllm_pkg.service.engine_load import read_load
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

# A start is tried again after a minute at the latest; the failure before it is news.
RETRY_MAX_S: Final = 120.0


def activity_json(settings: Settings, clock: Clock | None = None) -> dict[str, Any]:
    """
    Return how the API is used, and what is known beyond the status.

    Args:
        settings: Whose service.
        clock: Boot time.
    Returns:
        ``lastRequest``: when a key was last used, or None. ``load``: what the engine
        has to do, with ``atS``, seconds since boot, to make rates of; None where no
        engine answers. ``isFailureRecent``: whether the last failure is of the present
        start or of the one just before it. ``fix``: what Apply Fix would do now, or
        None. ``selection`` and ``serveArgs``: what is selected.
    Raises:
        StateError: a state file is damaged, or cannot be read.
    """
    clock = clock or BootClock()
    start = records.read_start(settings)
    store = observe_store(settings)
    is_running = start is not None and is_alive(start.process, clock.boot_id())
    return {
        "lastRequest": _last_request(settings),
        "load": _load(settings, start, clock) if start and is_running else None,
        "isFailureRecent": _is_recent(records.read_failure(settings), start, clock),
        "fix": describe_offer(action_context(settings)),
        "selection": store.selection.selection if store.selection else None,
        "serveArgs": list(store.serve_args),
    }


def _last_request(settings: Settings) -> str | None:
    used_s = [
        usage.last_used_s for usage in read_usage(settings.key_usage_dir).values()
    ]
    if not used_s:
        return None
    return datetime.fromtimestamp(max(used_s), UTC).isoformat(timespec="seconds")


def _load(
    settings: Settings, start: records.StartRecord, clock: Clock
) -> dict[str, Any] | None:
    metrics = None if start.ready_after_s is None else read_metrics(settings, start)
    load = None if metrics is None else read_load(metrics)
    return None if load is None else asdict(load) | {"atS": clock.now_s()}


def _is_recent(
    failure: records.FailureRecord | None,
    start: records.StartRecord | None,
    clock: Clock,
) -> bool:
    if failure is None or failure.boot_id != clock.boot_id():
        return False
    return start is None or failure.at_s >= start.started_s - RETRY_MAX_S

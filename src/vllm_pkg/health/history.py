"""
How the health of the API has changed: the last changes, for whoever looks later.

The host in the foreground writes it, which looks twice a second and sees each change
anyway. Messages count as a change only where something failed: while a model loads they
change with every percent.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import StateError
from vllm_pkg.health.checker import Result
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from vllm_pkg.health.checker import HealthResult
    from vllm_pkg.settings import Settings

CHANGES_MAX: Final = 500


def note_health(settings: Settings, health: HealthResult) -> None:
    """
    Add a change, unless it is none; the oldest ones are dropped.

    A full disk loses it: nothing else may fail because of it.

    Args:
        settings: Where it is.
        health: As it is now.
    """
    changes = read_history(settings)
    change = {"result": health.result.value, "message": health.message}
    last = changes[-1] if changes else {}
    is_same = last.get("result") == change["result"]
    if is_same and health.result is not Result.FAILURE:
        return
    if is_same and last.get("message") == change["message"]:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = [*changes, {"at": now, **change}][-CHANGES_MAX:]
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in kept)
    try:
        atomic.make_folder(settings.run_dir)
        atomic.write_file(settings.health_history_file, text.encode(), is_durable=False)
    except StateError:
        return


def read_history(settings: Settings) -> list[dict[str, Any]]:
    """Return the changes, the oldest first; what cannot be understood is left out."""
    try:
        data = atomic.read_file(settings.health_history_file) or b""
    except OSError:
        return []
    found = []
    for line in data.splitlines():
        try:
            change = json.loads(line)
        except ValueError:
            continue
        if isinstance(change, dict):
            found.append(change)
    return found[-CHANGES_MAX:]

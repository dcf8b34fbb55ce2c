"""
How often and when each key was last used, without a write per request.

Each API server process counts in memory and writes a file of its own some seconds after
the first request that is not written down yet. When a process starts, the files of
ended ones are added up into one, so that their number stays bounded. A crash loses the
last few seconds of a count and never counts twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.state import atomic, documents, locks
from vllm_pkg.state.identity import ProcessIdentity, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TOTAL_FILE: Final = "total.json"
_PROCESS: Final = "process"
_KEYS: Final = "keys"
_FOLDED: Final = "folded"


@dataclass(frozen=True)
class Usage:
    """
    What is known of one key.

    Args:
        requests: How many requests it opened.
        last_used_s: When the last one was, wall clock in seconds since 1970.
    """

    requests: int
    last_used_s: float

    def plus(self, other: Usage) -> Usage:
        """Return both together."""
        return Usage(
            self.requests + other.requests, max(self.last_used_s, other.last_used_s)
        )


class UsageCounter:
    """
    The counts of this process.

    Args:
        folder: Of the files.
        process: This process.
    """

    def __init__(self, folder: Path, process: ProcessIdentity) -> None:
        self._folder = folder
        self._process = process
        # Two plain dictionaries: this runs at every request.
        self._requests: dict[str, int] = {}
        self._last_used_s: dict[str, float] = {}
        self.is_dirty = False

    def count(self, key_id: str, now_s: float) -> None:
        """Count one request."""
        self._requests[key_id] = self._requests.get(key_id, 0) + 1
        self._last_used_s[key_id] = now_s
        self.is_dirty = True

    def snapshot(self) -> Callable[[], None]:
        """Return what writes the present counts; it may run in another thread."""
        counts = {
            key_id: Usage(requests, self._last_used_s[key_id])
            for key_id, requests in self._requests.items()
        }
        document = _as_json(counts) | {_PROCESS: vars(self._process)}
        self.is_dirty = False

        def write() -> None:
            atomic.make_folder(self._folder)
            atomic.write_file(
                self._folder / _file_name(self._process),
                documents.format_object(document),
            )

        return write


def read_usage(folder: Path) -> dict[str, Usage]:
    """
    Return the counts of all processes together, by id of the key.

    A file that cannot be understood counts nothing: counts are rebuilt, not restored.
    """
    counts, folded = _read_total(folder)
    for path in _process_files(folder):
        if path.name not in folded:
            _add(counts, _parse(_read(path)))
    return counts


def fold_ended(
    folder: Path, lock_file: Path, boot_id: str, renamed: Mapping[str, str]
) -> None:
    """
    Add the files of processes that have ended to the total, and remove them.

    The total names the files it holds, so that a crash before they are removed does not
    count them twice.

    Args:
        folder: Of the files.
        lock_file: The one lock under which state is changed.
        boot_id: Of this boot.
        renamed: Ids that older versions wrote, with what they are called now.
    Raises:
        StateError: the total cannot be written, or the lock cannot be had.
    """
    with locks.locked(lock_file):
        counts, folded = _read_total(folder)
        ended = [p for p in _process_files(folder) if not _is_alive(p, boot_id)]
        if not ended and counts.keys().isdisjoint(renamed):
            return
        for path in ended:
            if path.name not in folded:
                _add(counts, _parse(_read(path)))
        for old in renamed.keys() & counts.keys():
            _add(counts, {renamed[old]: counts.pop(old)})
        document = _as_json(counts) | {_FOLDED: [path.name for path in ended]}
        atomic.write_file(folder / TOTAL_FILE, documents.format_object(document))
        for path in ended:
            atomic.remove_file(path)


def _file_name(process: ProcessIdentity) -> str:
    # A pid alone comes again, in a container at every start.
    return f"{process.pid}-{process.started_ticks}.json"


def _process_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-[0-9]*.json"))


def _is_alive(path: Path, boot_id: str) -> bool:
    document = _read(path)
    try:
        return is_alive(ProcessIdentity(**document[_PROCESS]), boot_id)
    except (KeyError, TypeError):
        return False


def _read_total(folder: Path) -> tuple[dict[str, Usage], list[Any]]:
    total = _read(folder / TOTAL_FILE)
    folded = total.get(_FOLDED)
    return _parse(total), folded if isinstance(folded, list) else []


def _as_json(counts: dict[str, Usage]) -> dict[str, Any]:
    return {_KEYS: {key_id: vars(usage) for key_id, usage in counts.items()}}


def _parse(document: dict[str, Any]) -> dict[str, Usage]:
    try:
        return {
            key_id: Usage(int(item["requests"]), float(item["last_used_s"]))
            for key_id, item in document[_KEYS].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _add(counts: dict[str, Usage], more: dict[str, Usage]) -> None:
    for key_id, usage in more.items():
        counts[key_id] = usage.plus(counts.get(key_id, Usage(0, 0.0)))


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

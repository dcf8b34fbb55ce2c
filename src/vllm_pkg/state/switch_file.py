"""
switch.json, and what belongs to it: reading it, changing it under the one lock.

How far a preparation is stands in a file of its own in the run folder: it changes twice
a second, and nothing is lost with it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vllm_pkg.errors import StateError
from vllm_pkg.state import atomic, documents, locks
from vllm_pkg.state.identity import ProcessIdentity, is_alive
from vllm_pkg.state.store import read_store
from vllm_pkg.state.switch import Selected, Switches, Waiting
from vllm_pkg.state.switch_json import parse_switches, switches_as_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.settings import Settings


@dataclass(frozen=True)
class SwitchProgress:
    """
    How far the preparation of a switch is.

    Args:
        id: Of which switch.
        repository: What is being downloaded.
        bytes_done: Bytes that are there.
        bytes_total: Bytes in all; 0 while that is not known.
        bytes_per_s: The speed.
        eta_s: Seconds still to go; None: nobody can tell.
        is_stalled: Whether no byte has come for a while.
        updated_s: When that was so, in seconds since boot.
    """

    id: str
    repository: str
    bytes_done: int
    bytes_total: int
    bytes_per_s: float
    eta_s: float | None
    is_stalled: bool
    updated_s: float

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "id": self.id,
            "repository": self.repository,
            "bytesDone": self.bytes_done,
            "bytesTotal": self.bytes_total,
            "bytesPerS": self.bytes_per_s,
            "etaS": self.eta_s,
            "isStalled": self.is_stalled,
            "updatedS": self.updated_s,
        }


def load_switches(settings: Settings) -> Switches:
    """
    Read switch.json; no file means that there never was a switch.

    Raises:
        StateCorrupt: it is damaged; it was set aside.
        StateUnreadable: it cannot be read.
    """
    return _read(settings)[0]


def observe_switches(settings: Settings) -> Switches:
    """
    Read switch.json for a look at the service; a damaged one is left where it is.

    Raises:
        StateCorrupt: it is damaged.
        StateUnreadable: it cannot be read.
    """
    document = documents.observe_object(settings.switch_file)
    try:
        return Switches() if document is None else parse_switches(document)
    except documents.Malformed as error:
        raise documents.damaged(settings.switch_file, str(error)) from error


def update_switches(
    settings: Settings, change: Callable[[Switches], Switches]
) -> Switches:
    """
    Change switch.json under the lock.

    Args:
        settings: Where it is.
        change: Takes what is there, returns what shall be.
    Returns:
        What is on the disk now.
    Raises:
        StateError: it cannot be read or written; what was there is still there.
    """
    with locks.locked(settings.lock_file):
        present, data = _read(settings)
        switches = change(present)
        if switches != present:
            new = documents.format_object(switches_as_json(switches))
            atomic.replace_file(settings.switch_file, new, data, settings.lock_file)
        return switches


def request_switch(settings: Settings, target: Selected) -> Switches:
    """
    Ask the fetcher for a switch.

    Raises:
        StateError: the request cannot be written.
    """
    wanted = Waiting(secrets.token_hex(8), target, utc_now())

    def change(switches: Switches) -> Switches:
        # Under the lock: what is selected now is what would come back.
        return switches.requested(wanted, Selected.of(read_store(settings)[0]))

    return update_switches(settings, change)


def drop_switches(settings: Settings) -> None:
    """
    Give up whatever switch is under way, because something is selected past it.

    Raises:
        StateError: it cannot be written.
    """
    # Of a folder that may not be entered it says no; whatever comes next tells why.
    if os.path.lexists(settings.switch_file):
        now = utc_now()
        update_switches(settings, lambda switches: switches.dropped(now))


def read_progress(settings: Settings, switch_id: str) -> SwitchProgress | None:
    """Return how far the preparation of a switch is; None: nothing is known."""
    document = _observe(settings.switch_progress_file)
    try:
        if document["id"] != switch_id:
            return None
        eta_s = document["etaS"]
        return SwitchProgress(
            id=switch_id,
            repository=str(document["repository"]),
            bytes_done=int(document["bytesDone"]),
            bytes_total=int(document["bytesTotal"]),
            bytes_per_s=float(document["bytesPerS"]),
            eta_s=None if eta_s is None else float(eta_s),
            is_stalled=document["isStalled"] is True,
            updated_s=float(document["updatedS"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def write_progress(settings: Settings, progress: SwitchProgress) -> None:
    """
    Write how far a preparation is, for whoever looks.

    Raises:
        StateWriteFailed: it cannot be written.
    """
    _write_hint(settings.switch_progress_file, progress.as_json())


def is_fetcher_running(settings: Settings, boot_id: str) -> bool:
    """Whether this instance has a fetcher, which would take up a request."""
    document = _observe(settings.fetcher_file)
    try:
        process = ProcessIdentity(
            int(document["pid"]),
            int(document["started_ticks"]),
            str(document["boot_id"]),
        )
    except (KeyError, TypeError, ValueError):
        return False
    return is_alive(process, boot_id)


def write_fetcher(settings: Settings, process: ProcessIdentity) -> None:
    """
    Write which process is the fetcher.

    Raises:
        StateWriteFailed: it cannot be written.
    """
    _write_hint(settings.fetcher_file, vars(process))


def utc_now() -> str:
    """Return the UTC time, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(settings: Settings) -> tuple[Switches, bytes | None]:
    path = settings.switch_file
    document = documents.read_document(path)
    if document is None:
        return Switches(), None
    try:
        return parse_switches(document.content), document.data
    except documents.Malformed as error:
        raise documents.set_aside(path, str(error), document.data) from error


def _observe(path: Path) -> dict[str, Any]:
    try:
        return documents.observe_object(path) or {}
    except StateError:
        return {}


def _write_hint(path: Path, document: dict[str, Any]) -> None:
    atomic.make_folder(path.parent)
    atomic.write_file(path, documents.format_object(document), is_durable=False)

"""Every download that goes on, whoever has begun it, and ending one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.phases import Phase
from vllm_pkg.errors import NotAllowedInState
from vllm_pkg.service import jobs, switches
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive

if TYPE_CHECKING:
    from vllm_pkg.service.jobs import Job
    from vllm_pkg.settings import Settings

START: Final = "start"
SWITCH: Final = "switch"


def list_downloads(settings: Settings) -> list[dict[str, Any]]:
    """
    Return the downloads: of the start, of the switch, and those asked for alone.

    Each one has ``id``, ``source`` (``start``, ``switch`` or ``pull``), ``state``
    (``running``, ``stalled``, ``done``, ``failed``, ``cancelled``, ``interrupted``),
    ``repository``, ``bytesDone``, ``bytesTotal``, ``bytesPerS``, ``etaS``,
    ``isCancellable``, ``beganAt`` and ``error``. Those that run come first, then the
    ones that are over, the newest first.

    Raises:
        StateError: switch.json is damaged or cannot be read.
    """
    pulls = [job_json(job) for job in jobs.list_jobs(settings, jobs.Kind.PULL)]
    found = [*_of_start(settings), *_of_switch(settings), *pulls]
    return sorted(found, key=lambda one: one["state"] not in {"running", "stalled"})


def find_download(settings: Settings, download_id: str) -> dict[str, Any]:
    """
    Return one of them.

    Raises:
        NotFound: there is none of that name.
        StateError: switch.json is damaged or cannot be read.
    """
    for one in list_downloads(settings):
        if one["id"] == download_id:
            return one
    return job_json(jobs.find_job(settings, download_id, jobs.Kind.PULL))


def cancel(settings: Settings, download_id: str) -> None:
    """
    End a download; what has arrived stays, and goes on where it ended.

    Raises:
        NotFound: there is none of that name.
        NotAllowedInState: it is over, or it belongs to the start of the engine.
        StateError: it cannot be written down.
    """
    find_download(settings, download_id)
    if download_id == START:
        raise NotAllowedInState(
            "this download belongs to the start of the engine",
            hint="stop the engine, or select another model",
        )
    if download_id == SWITCH:
        switches.cancel(settings)
    else:
        jobs.cancel_job(settings, download_id)


def job_json(job: Job) -> dict[str, Any]:
    """Return a job that fetches a model, as `list_downloads` does."""
    progress = job.progress or {}
    is_stalled = job.is_running and progress.get("state") == "stalled"
    return {
        "id": job.id,
        "source": str(job.kind),
        "state": "stalled" if is_stalled else str(job.state),
        "model": job.model or None,
        "repository": progress.get("repository") or None,
        "bytesDone": progress.get("bytes_done"),
        "bytesTotal": progress.get("bytes_total") or None,
        "bytesPerS": progress.get("bytes_per_s") if job.is_running else None,
        "etaS": progress.get("eta_s") if job.is_running else None,
        "isCancellable": job.is_running,
        "beganAt": job.began_at.isoformat(),
        "error": job.error,
    }


def _of_start(settings: Settings) -> list[dict[str, Any]]:
    start = records.read_start(settings)
    if start is None or start.phase != Phase.DOWNLOAD:
        return []
    if not is_alive(start.process, BootClock().boot_id()):
        return []
    return [
        {
            "id": START,
            "source": START,
            "state": "stalled" if start.is_stalled else "running",
            "model": start.model,
            "repository": start.repository,
            "bytesDone": start.bytes_done,
            "bytesTotal": start.bytes_total,
            "bytesPerS": _whole(start.bytes_per_s),
            "etaS": _whole(start.eta_s),
            "isCancellable": False,
            "beganAt": start.started_at or None,
            "error": None,
        }
    ]


def _of_switch(settings: Settings) -> list[dict[str, Any]]:
    current = switches.collect(settings)["current"]
    progress = None if current is None else current["progress"]
    if progress is None:
        return []
    return [
        {
            "id": SWITCH,
            "source": SWITCH,
            "state": "stalled" if progress["isStalled"] else "running",
            "model": current["target"]["source"],
            "repository": progress["repository"],
            "bytesDone": progress["bytesDone"],
            "bytesTotal": progress["bytesTotal"],
            "bytesPerS": _whole(progress["bytesPerS"]),
            "etaS": _whole(progress["etaS"]),
            "isCancellable": True,
            "beganAt": current["requestedAt"],
            "error": None,
        }
    ]


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)

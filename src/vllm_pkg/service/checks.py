"""Checks of the files in the cache, which go on beside the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_pkg.service import jobs

if TYPE_CHECKING:
    from vllm_pkg.service.jobs import Job
    from vllm_pkg.settings import Settings


def list_checks(settings: Settings) -> list[dict[str, Any]]:
    """Return the checks that run and those that are over, the newest first."""
    return [check_json(job) for job in jobs.list_jobs(settings, jobs.Kind.VERIFY)]


def find_check(settings: Settings, check_id: str) -> dict[str, Any]:
    """
    Return one of them.

    Raises:
        NotFound: there is none of that name.
    """
    return check_json(jobs.find_job(settings, check_id, jobs.Kind.VERIFY))


def cancel(settings: Settings, check_id: str) -> None:
    """
    End a check.

    Raises:
        NotFound: there is none of that name.
        NotAllowedInState: it is over.
        StateError: it cannot be written down.
    """
    find_check(settings, check_id)
    jobs.cancel_job(settings, check_id)


def check_json(job: Job) -> dict[str, Any]:
    """Return a job that checks, as `list_checks` does."""
    return {
        "id": job.id,
        "state": str(job.state),
        "model": job.model or None,
        "beganAt": job.began_at.isoformat(),
        "progress": job.progress,
        "result": job.result,
        "error": job.error,
    }

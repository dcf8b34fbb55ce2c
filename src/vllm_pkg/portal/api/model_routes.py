"""``presets``, ``models`` and ``downloads``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from vllm_pkg.portal.api.given import GivenSettings
from vllm_pkg.portal.api.shapes_models import (
    ArgumentText,
    CacheKey,
    CacheShape,
    CheckShape,
    DownloadShape,
    FitShape,
    JobId,
    ModelName,
    PresetShape,
    PullRequest,
    RemovalPlan,
    RemovalRequest,
    RemovalShape,
    Revision,
    VerifyRequest,
)
from vllm_pkg.service import cached_models, checks, downloads, fits, pulling

router = APIRouter(tags=["models"])
DownloadId = Annotated[str, Path(pattern=r"^([0-9a-f]{12}|start|switch)$")]


@router.get("/presets", response_model=list[PresetShape])
def list_presets(settings: GivenSettings) -> list[dict[str, Any]]:
    """Return every preset, whether it fits this machine, and if not why."""
    return fits.presets_json(settings)


@router.get("/models", response_model=CacheShape)
def list_models(settings: GivenSettings) -> dict[str, Any]:
    """Return what is in the model cache."""
    return cached_models.cache_json(settings)


@router.get("/models/fit", response_model=FitShape)
def get_fit(
    model: Annotated[ModelName, Query()],
    settings: GivenSettings,
    arguments: Annotated[ArgumentText, Query()] = "",
) -> dict[str, Any]:
    """
    Say whether a model runs here, before a byte of it is downloaded.

    ``arguments`` are further ones of ``vllm serve``, quoted as in a shell.
    """
    return fits.fit_json(settings, model, arguments)


@router.post(
    "/models/pull", status_code=HTTPStatus.ACCEPTED, response_model=DownloadShape
)
def pull_model(request: PullRequest, settings: GivenSettings) -> dict[str, Any]:
    """Begin to fetch a model into the cache; the same one is not fetched twice."""
    job = pulling.pull(settings, request.model or "", request.revision or "")
    return downloads.job_json(job)


@router.get("/downloads", response_model=list[DownloadShape])
def list_downloads(settings: GivenSettings) -> list[dict[str, Any]]:
    """Return the downloads that run, and then those that are over."""
    return downloads.list_downloads(settings)


@router.get("/downloads/{download_id}", response_model=DownloadShape)
def get_download(download_id: DownloadId, settings: GivenSettings) -> dict[str, Any]:
    """Return one download."""
    return downloads.find_download(settings, download_id)


@router.delete("/downloads/{download_id}", status_code=HTTPStatus.NO_CONTENT)
def cancel_download(download_id: DownloadId, settings: GivenSettings) -> None:
    """End a download; what has arrived stays."""
    downloads.cancel(settings, download_id)


@router.post(
    "/models/verify", status_code=HTTPStatus.ACCEPTED, response_model=CheckShape
)
def verify_models(request: VerifyRequest, settings: GivenSettings) -> dict[str, Any]:
    """Begin to check files in the cache, and to mend them if wanted."""
    job = pulling.verify(
        settings, request.model or "", is_full=request.full, is_repair=request.repair
    )
    return checks.check_json(job)


@router.get("/checks", response_model=list[CheckShape])
def list_checks(settings: GivenSettings) -> list[dict[str, Any]]:
    """Return the checks that run and those that are over, the newest first."""
    return checks.list_checks(settings)


@router.get("/checks/{check_id}", response_model=CheckShape)
def get_check(check_id: JobId, settings: GivenSettings) -> dict[str, Any]:
    """Return one check."""
    return checks.find_check(settings, check_id)


@router.delete("/checks/{check_id}", status_code=HTTPStatus.NO_CONTENT)
def cancel_check(check_id: JobId, settings: GivenSettings) -> None:
    """End a check."""
    checks.cancel(settings, check_id)


@router.get("/models/removal-plan", response_model=RemovalPlan)
def plan_removal(
    model: Annotated[CacheKey, Query()],
    settings: GivenSettings,
    revision: Annotated[Revision | None, Query()] = None,
) -> dict[str, Any]:
    """Return what a removal would do; nothing is done."""
    return cached_models.removal_plan_json(settings, model, revision)


@router.post("/models/removal", response_model=RemovalShape)
def remove_model(request: RemovalRequest, settings: GivenSettings) -> dict[str, Any]:
    """Remove a model, or one revision, just as its plan showed it."""
    return cached_models.remove_as_planned(
        settings, request.model, request.revision, request.plan
    )

"""``status``, ``health``, ``tasks``, ``starts``, ``machine``, ``switch``, ``keys``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from vllm_pkg.actions.tasks import pending_tasks
from vllm_pkg.engine.guard.key_list import list_keys
from vllm_pkg.health.probe import check_all
from vllm_pkg.portal.api.given import GivenPortal, GivenSettings
from vllm_pkg.portal.api.shapes_others import KeyShape
from vllm_pkg.portal.api.shapes_service import (
    HealthShape,
    MachineShape,
    StartsShape,
    StatusShape,
    SwitchesShape,
    TaskShape,
)
from vllm_pkg.service import metrics, starts, status, switches
from vllm_pkg.service.machine import machine_watch
from vllm_pkg.state.keys import now_utc

router = APIRouter(tags=["service"])


@router.get("/status", response_model=StatusShape)
def get_status(settings: GivenSettings) -> dict[str, Any]:
    """Return the whole picture of the service, looked at now."""
    return status.collect(settings)


@router.get("/health", response_model=list[HealthShape])
def get_health(settings: GivenSettings) -> list[dict[str, str]]:
    """Return every health check; the first one is what dependents rely on."""
    return [result.as_json() for result in check_all(settings)]


@router.get("/tasks", response_model=list[TaskShape])
def get_tasks(settings: GivenSettings) -> list[dict[str, str]]:
    """Return what waits to be done."""
    return [task.as_json() for task in pending_tasks(settings)]


@router.get("/starts", response_model=StartsShape)
def get_starts(settings: GivenSettings) -> dict[str, Any]:
    """Return the present start and the earlier ones, with the times of each phase."""
    return starts.starts_json(settings)


@router.get("/machine", response_model=MachineShape)
def get_machine(settings: GivenSettings) -> dict[str, Any]:
    """Return the machine at the moment; rates are those since the look before."""
    return machine_watch(settings).look()


@router.get("/switch", response_model=SwitchesShape)
def get_switch(settings: GivenSettings) -> dict[str, Any]:
    """Return the present or the last switch of models, and the one that waits."""
    return switches.collect(settings)


@router.post("/switch/cancel", response_model=SwitchesShape)
def cancel_switch(settings: GivenSettings) -> dict[str, Any]:
    """End the switch that is being prepared; the old model goes on serving."""
    switches.cancel(settings)
    return switches.collect(settings)


@router.get("/keys", response_model=list[KeyShape])
def get_keys(settings: GivenSettings) -> list[dict[str, Any]]:
    """Return the keys of the API with their use, and never a key itself."""
    return [key.as_json() for key in list_keys(settings, now_utc())]


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {metrics.CONTENT_TYPE: {"schema": {"type": "string"}}}}
    },
)
def get_metrics(settings: GivenSettings, portal: GivenPortal) -> PlainTextResponse:
    """Return figures for Prometheus; those of the state are of the last look."""
    text = metrics.metrics_text(settings, portal.feed.latest.state)
    return PlainTextResponse(text, media_type=metrics.CONTENT_TYPE)

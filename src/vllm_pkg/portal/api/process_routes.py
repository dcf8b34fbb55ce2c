"""``processes``: the programs of the standalone host."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from vllm_pkg.portal.api.given import GivenSettings
from vllm_pkg.portal.api.shapes_others import ProgramName, ProgramShape
from vllm_pkg.service import processes
from vllm_pkg.service.processes import Verb

router = APIRouter(prefix="/processes", tags=["processes"])


@router.get("", response_model=list[ProgramShape])
def list_programs(settings: GivenSettings) -> list[dict[str, Any]]:
    """Return the programs; none where the standalone host does not run."""
    return [program.as_json() for program in processes.list_programs(settings)]


@router.post("/{name}/{verb}", response_model=ProgramShape)
def steer_program(
    name: ProgramName, verb: Verb, settings: GivenSettings
) -> dict[str, Any]:
    """Start, stop or restart a program; some are protected, and say why."""
    return processes.steer(settings, name, verb).as_json()

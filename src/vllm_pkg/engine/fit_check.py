"""Whether what is to be served will run here, asked before any of it is fetched."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from vllm_pkg.engine.fit_request import build_request
from vllm_pkg.engine.hub_token import hub_variables
from vllm_pkg.engine.own_memory import own_memory_gib
from vllm_pkg.errors import ModelDoesNotFit
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.models.sizing.assess import assess
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.models.sizing.wording import describe, remedy_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.sizing.assess import Assessment
    from vllm_pkg.models.sizing.verdict import Decision
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.store import EnvironmentVariable

_REFUSED = frozenset({Verdict.RUNS_WITH_CHANGE, Verdict.DOES_NOT_RUN})


def assess_serving(
    settings: Settings,
    hardware: Hardware,
    serve_args: Sequence[str],
    serve_env: Sequence[EnvironmentVariable] = (),
) -> Assessment:
    """
    Say whether a model with its arguments runs here, once the present one has ended.

    Args:
        settings: Settings in force.
        hardware: The machine.
        serve_args: What stands after ``vllm serve``, the model first.
        serve_env: Environment variables that the user has set for it.
    Raises:
        InvalidArgument: an argument is refused, or a value cannot be understood.
    """
    chosen = {item.name: item.value for item in serve_env}
    environ = os.environ | hub_variables(settings, serve_env) | chosen
    returned_gib = own_memory_gib(settings, hardware)
    request = build_request(serve_args, hardware, environ, returned_gib)
    return assess(settings, hardware, request)


def assess_here(
    settings: Settings,
    serve_args: Sequence[str],
    serve_env: Sequence[EnvironmentVariable] = (),
) -> Assessment:
    """
    Do what `assess_serving` does, on the machine as it is now.

    Raises:
        InvalidArgument: an argument is refused, or a value cannot be understood.
    """
    hardware = detect_hardware(settings)
    return assess_serving(settings, hardware, serve_args, serve_env)


def assess_known(
    settings: Settings,
    hardware: Hardware,
    serve_args: Sequence[str],
    serve_env: Sequence[EnvironmentVariable],
    returned_gib: tuple[float, ...],
) -> Decision | None:
    """
    Return what `assess_serving` would say, where that needs no network; None elsewhere.

    Args:
        settings: Settings in force.
        hardware: The machine.
        serve_args: What stands after ``vllm serve``, the model first.
        serve_env: Environment variables that the user has set for it.
        returned_gib: What the engine that runs now gives back, from `own_memory_gib`.
    Raises:
        InvalidArgument: an argument is refused, or a value cannot be understood.
    """
    environ = os.environ | {item.name: item.value for item in serve_env}
    request = build_request(serve_args, hardware, environ, returned_gib)
    unasked = replace(request, access=replace(request.access, is_offline=True))
    return assess(settings, hardware, unasked).decision


def is_refused(assessment: Assessment) -> bool:
    """Whether the model is known not to run with the arguments as they are."""
    return assessment.verdict in _REFUSED


def require_run(assessment: Assessment) -> None:
    """
    Let pass what runs, and what nobody knows.

    Raises:
        ModelDoesNotFit: it does not run as it is; the hint names the change that helps.
    """
    if not is_refused(assessment):
        return
    message = describe(assessment)[0].removesuffix(".")
    decision = assessment.decision
    if decision is None or not decision.remedies:
        raise ModelDoesNotFit(message)
    remedy = decision.remedies[0]
    raise ModelDoesNotFit(
        message,
        hint=f"put {remedy_text(remedy)} into its arguments",
        options=tuple((change.option, change.value) for change in remedy),
    )

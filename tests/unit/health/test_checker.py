"""The health decision: a table over all situations of the design."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vllm_pkg.health.checker import (
    Api,
    Engine,
    Observation,
    Result,
    check_api,
)
from vllm_pkg.state.records import FailureRecord

LOADING = Observation(
    is_model_selected=True,
    is_host_running=True,
    engine=Engine.RUNNING,
    elapsed_s=0.0,
    api=Api.SILENT,
)
FAILURE = FailureRecord("t", 1.0, "b", "It broke.", "Mend it.", 1, True, 1)  # noqa: FBT003


@pytest.mark.parametrize(
    ("change", "result", "message"),
    [
        (
            {"is_model_selected": False},
            "disabled",
            'No model selected. Run the "Set Model" action.',
        ),
        (
            {"is_model_selected": False, "is_host_running": False},
            "disabled",
            'No model selected. Run the "Set Model" action.',
        ),
        ({"api": Api.READY}, "success", "The vLLM API is ready"),
        ({"api": Api.READY, "elapsed_s": 9e9}, "success", "The vLLM API is ready"),
        ({}, "loading", "can take 30+ minutes"),
        ({"elapsed_s": 2099.999}, "loading", "15+ minutes"),
        (
            {"elapsed_s": 2100.0},
            "failure",
            (
                "The vLLM API did not come up within 35 minutes."
                " Check the service logs for errors."
            ),
        ),
        ({"api": Api.UNWELL, "api_status": 503}, "failure", "HTTP status 503"),
        ({"engine": Engine.STOPPING}, "starting", "restarting"),
        ({"engine": Engine.NEVER_STARTED}, "starting", "starting"),
        (
            {"engine": Engine.NEVER_STARTED, "is_host_running": False},
            "failure",
            "not running",
        ),
        ({"engine": Engine.ENDED}, "failure", "process ended"),
        ({"engine": Engine.ENDED, "failure": FAILURE}, "failure", "It broke. Mend it."),
        (
            {"engine": Engine.NEVER_STARTED, "failure": FAILURE},
            "failure",
            "It broke. Mend it.",
        ),
        (
            {"engine": Engine.ENDED, "is_host_running": False, "failure": FAILURE},
            "failure",
            "The service is not running.",
        ),
        ({"failure": FAILURE}, "loading", "30+ minutes"),
        ({"failure": FAILURE, "api": Api.READY}, "success", "ready"),
    ],
)
def test_each_situation_has_its_result(change, result, message):
    """Every situation gives the design's result and the mission's words."""
    health = check_api(replace(LOADING, **change))

    assert health.result == result
    assert message in health.message


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Result.SUCCESS, 0),
        (Result.DISABLED, 59),
        (Result.STARTING, 60),
        (Result.LOADING, 61),
        (Result.FAILURE, 1),
    ],
)
def test_exit_codes_are_startos(result, code):
    """Each result has StartOS's exit code."""
    health = replace(check_api(LOADING), result=result)

    assert health.exit_code == code


def test_json_shape():
    """A result prints with exactly the fields that StartOS names."""
    assert check_api(replace(LOADING, api=Api.READY)).as_json() == {
        "id": "primary",
        "name": "vLLM API",
        "result": "success",
        "message": "The vLLM API is ready",
    }

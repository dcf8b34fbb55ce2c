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
    check_download,
)
from vllm_pkg.state.identity import ProcessIdentity
from vllm_pkg.state.records import FailureRecord, StartRecord
from vllm_pkg.state.switch_file import SwitchProgress

LOADING = Observation(
    is_model_selected=True,
    is_host_running=True,
    engine=Engine.RUNNING,
    elapsed_s=0.0,
    api=Api.SILENT,
)
READY = replace(LOADING, api=Api.READY)
STOPPED_START = StartRecord(
    ProcessIdentity(1, 2, "b"), 0.0, "127.0.0.1", 8000, "m", is_kept_stopped=True
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
        (
            {"is_model_selected": False, "failure": FAILURE},
            "disabled",
            'No model selected. Run the "Set Model" action.',
        ),
        (
            {"is_model_selected": False, "failure": replace(FAILURE, exit_code=74)},
            "failure",
            'It broke. Mend it. No model selected. Run the "Set Model" action.',
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
        (
            {"engine": Engine.STOPPING, "start": STOPPED_START},
            "disabled",
            "The engine was stopped by hand. Start it to serve the model.",
        ),
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
        ({"is_host_stopping": True}, "failure", "The service is stopping."),
        ({"is_host_stopping": True, "api": Api.READY}, "success", "ready"),
        (
            {"is_host_stopping": True, "engine": Engine.ENDED, "failure": FAILURE},
            "failure",
            "The service is stopping.",
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


MOVING = StartRecord(
    ProcessIdentity(1, 1, "b"),
    started_s=0.0,
    host="127.0.0.1",
    port=1,
    model="x",
    phase="download",
    repository="org/name",
    bytes_done=1024**3,
    bytes_total=4 * 1024**3,
    bytes_per_s=10_000_000.0,
    eta_s=322.0,
    updated_s=5000.0,
)
STALLED = replace(MOVING, is_stalled=True)
HOW_FAR = (
    "Downloading org/name: 1.0 GiB of 4.0 GiB (25 %), 10.0 MB/s, about 5 min left."
)
STANDS_STILL = (
    "The download of org/name stands still at 1.0 GiB of 4.0 GiB (25 %)."
    " It is tried again by itself."
)
PREPARATION = SwitchProgress(
    id="id",
    repository="org/name",
    bytes_done=1024**3,
    bytes_total=4 * 1024**3,
    bytes_per_s=10_000_000.0,
    eta_s=322.0,
    is_stalled=False,
    updated_s=5000.0,
)
LOADING_TEXT = (
    "The model is loading. A first-time download and load can take 30+ minutes, a load"
    " from cache 15+ minutes, depending on hardware resources and bandwidth."
)
TIMED_OUT = (
    "The vLLM API did not come up within 35 minutes. Check the service logs for errors."
)
LOAD = replace(MOVING, phase="load", phase_percent=40.0, percent=50.0, eta_s=60.0)


@pytest.mark.parametrize(
    ("start", "elapsed_s", "result", "message"),
    [
        (None, 0.0, "loading", LOADING_TEXT),
        (MOVING, 0.0, "loading", f"{LOADING_TEXT} {HOW_FAR}"),
        (STALLED, 0.0, "loading", f"{LOADING_TEXT} {STANDS_STILL}"),
        (
            LOAD,
            2099.0,
            "loading",
            (
                f"{LOADING_TEXT} Now: loading the weights (40 %), 50 % of the start,"
                " about 60 s left."
            ),
        ),
        (replace(LOAD, phase="ready"), 9.0, "loading", LOADING_TEXT),
        (None, 2100.0, "failure", TIMED_OUT),
        (MOVING, 2100.0, "failure", f"{TIMED_OUT} {HOW_FAR}"),
        (STALLED, 2100.0, "failure", TIMED_OUT),
        (LOAD, 2100.0, "failure", TIMED_OUT),
    ],
)
def test_the_missions_words_come_first(start, elapsed_s, result, message):
    """They are followed by how far it is; after 35 minutes only while bytes move."""
    health = check_api(replace(LOADING, start=start, elapsed_s=elapsed_s, now_s=5000.0))

    assert (health.result, health.message) == (result, message)


@pytest.mark.parametrize(
    ("change", "result", "message"),
    [
        ({"start": None}, "disabled", "No download is under way."),
        ({}, "loading", HOW_FAR),
        # The window of the API is not its own.
        ({"elapsed_s": 9e9}, "loading", HOW_FAR),
        ({"start": STALLED}, "failure", STANDS_STILL),
        ({"now_s": 5061.0}, "failure", STANDS_STILL),
        ({"start": LOAD}, "disabled", "No download is under way."),
        ({"engine": Engine.ENDED}, "disabled", "No download is under way."),
    ],
)
def test_the_download_is_a_check_of_its_own(change, result, message):
    """It tells progress from a stall, and is disabled when there is none."""
    observation = replace(LOADING, start=MOVING, now_s=5000.0)

    health = check_download(replace(observation, **change))

    assert (health.id, health.name) == ("download", "Model download")
    assert (health.result, health.message) == (result, message)


@pytest.mark.parametrize(
    ("change", "now_s", "result", "message"),
    [
        ({}, 5000.0, "loading", HOW_FAR),
        ({"eta_s": None}, 5060.0, "loading", HOW_FAR.replace(", about 5 min left", "")),
        (
            {"bytes_done": 0, "bytes_total": 0},
            5000.0,
            "loading",
            "Downloading org/name: finding out what is needed.",
        ),
        ({"is_stalled": True}, 5000.0, "failure", STANDS_STILL),
        ({}, 5061.0, "failure", STANDS_STILL),
    ],
)
def test_the_download_of_a_switch_is_told_too(change, now_s, result, message):
    """While the old model serves, the next one's download moves or stands still."""
    serving = replace(
        READY, start=replace(MOVING, phase="ready"), preparation=PREPARATION
    )
    told = replace(PREPARATION, **change)

    health = check_download(replace(serving, preparation=told, now_s=now_s))

    assert (health.result, health.message) == (result, message)
    assert check_api(serving).result == "success"


def test_a_start_comes_before_a_switch():
    """An engine that waits for its own model is what matters."""
    mine = replace(MOVING, repository="org/mine")
    observation = replace(LOADING, start=mine, preparation=PREPARATION, now_s=5000.0)

    assert "org/mine" in check_download(observation).message


def test_a_stopped_service_downloads_nothing():
    """What a switch had written down before is no news then."""
    stopped = replace(READY, preparation=PREPARATION, is_host_running=False)

    assert check_download(stopped).message == "No download is under way."


@pytest.mark.parametrize("elapsed_s", [0.0, 35 * 60.0])
@pytest.mark.parametrize("fix", ["Shorten it.", ""])
def test_a_failed_start_before_is_told_after_the_missions_words(elapsed_s, fix):
    """What went wrong before follows; what to do comes without the host's next step."""
    start = replace(STOPPED_START, is_kept_stopped=False)
    plain = replace(LOADING, elapsed_s=elapsed_s, start=start)
    failed = replace(plain, earlier_failure=replace(FAILURE, fix=fix))

    without, found = check_api(plain), check_api(failed)

    why = f"The start before this one failed: It broke. {fix or 'Mend it.'}"
    assert found.message == f"{without.message} {why}"
    assert (found.result, found.detail) == (without.result, without.detail)


def test_an_engine_that_is_ready_has_no_past():
    """What failed before does not matter any more."""
    ready = replace(READY, earlier_failure=FAILURE)

    assert check_api(ready).message == "The vLLM API is ready"

"""
What the API's health is, and its download's: pure functions over one observation.

The messages are the mission's, word for word; a contract test compares them with
manifest.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.phases import Phase
from vllm_pkg.health.download_text import Download
from vllm_pkg.health.start_text import describe_start

if TYPE_CHECKING:
    from vllm_pkg.health.progress import Stall
    from vllm_pkg.state.records import FailureRecord, StartRecord
    from vllm_pkg.state.switch_file import SwitchProgress

CHECK_ID: Final = "primary"
CHECK_NAME: Final = "vLLM API"
DOWNLOAD_ID: Final = "download"
DOWNLOAD_NAME: Final = "Model download"
LOADING_WINDOW_S: Final = 35 * 60.0

READY: Final = "The vLLM API is ready"
NO_MODEL: Final = 'No model selected. Run the "Set Model" action.'
LOADING: Final = (
    "The model is loading. A first-time download and load can take 30+ minutes, a load"
    " from cache 15+ minutes, depending on hardware resources and bandwidth."
)
TIMED_OUT: Final = (
    "The vLLM API did not come up within 35 minutes. Check the service logs for errors."
)
NO_DOWNLOAD: Final = "No download is under way."
NOT_RUNNING: Final = "The service is not running. Start it with: vllm-pkg run"
STARTING: Final = "The service is starting."
STOPPING: Final = "The service is stopping."
RESTARTING: Final = "The engine is restarting."
STOPPED: Final = "The engine was stopped by hand. Start it to serve the model."
STUCK_HINT: Final = "A restart of the service helps. See its logs for the cause."
ENDED: Final = "The engine's process ended. Check the service logs for errors."


class Result(StrEnum):
    """Results of a health check, in StartOS's words."""

    SUCCESS = "success"
    DISABLED = "disabled"
    STARTING = "starting"
    LOADING = "loading"
    FAILURE = "failure"


EXIT_CODES: Final = {
    Result.SUCCESS: 0,
    Result.DISABLED: 59,
    Result.STARTING: 60,
    Result.LOADING: 61,
    Result.FAILURE: 1,
}


class Engine(StrEnum):
    """What is known of the engine's process."""

    NEVER_STARTED = "never started"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


class Api(StrEnum):
    """How the engine's ``/health`` answered."""

    READY = "ready"
    UNWELL = "unwell"
    SILENT = "silent"


@dataclass(frozen=True)
class Observation:
    """
    Everything the decision needs, read at one moment.

    Args:
        is_model_selected: Whether store.json names one.
        is_host_running: Whether something that starts the engine runs.
        engine: State of the engine's process.
        elapsed_s: Seconds since the daemon started, on the boot clock.
        api: How ``/health`` answered.
        api_status: HTTP status when it answered something else than 200.
        failure: The last failure, None when there is none since the engine's start.
            A failure before the engine's process came to be counts as well.
        stall: What shows that the engine is stuck, None when nothing does.
        start: The record of the start, None when there is none.
        now_s: Seconds since boot.
        switch_note: What has to be known of the last switch of models.
        preparation: How far a switch is that is being prepared, None when there is
            none, or nothing of it has been downloaded.
        is_host_stopping: Whether what starts the engine has been told to end.
        earlier_failure: Why a start before the present one failed, which served the
            same and never got ready; None when none did.
    """

    is_model_selected: bool
    is_host_running: bool
    engine: Engine
    elapsed_s: float
    api: Api
    api_status: int | None = None
    failure: FailureRecord | None = None
    stall: Stall | None = None
    start: StartRecord | None = None
    now_s: float = 0.0
    switch_note: str | None = None
    preparation: SwitchProgress | None = None
    is_host_stopping: bool = False
    earlier_failure: FailureRecord | None = None


@dataclass(frozen=True)
class HealthResult:
    """
    The answer of one health check.

    Args:
        result: What it is.
        message: What to tell.
        id: Which check.
        name: Its name for people.
        detail: The part of the message that changes while the result stays.
        phase: What goes on in a start, None when there is none.
    """

    result: Result
    message: str
    id: str = CHECK_ID
    name: str = CHECK_NAME
    detail: str = ""
    phase: str | None = None

    @property
    def exit_code(self) -> int:
        """Exit code of ``vllm-pkg health``."""
        return EXIT_CODES[self.result]

    def as_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {
            "id": self.id,
            "name": self.name,
            "result": self.result.value,
            "message": self.message,
        }


def check_api(observation: Observation) -> HealthResult:
    """Decide the health of the API from one observation."""
    if not observation.is_model_selected:
        return _without_model(observation.failure)
    if observation.engine is Engine.RUNNING:
        return _running(observation)
    return _not_running(observation)


def _without_model(failure: FailureRecord | None) -> HealthResult:
    if failure is None or not failure.is_of_state:
        return HealthResult(Result.DISABLED, NO_MODEL)
    # The damaged file that was set aside may have been what said which model.
    message = f"{failure.summary} {failure.hint} {NO_MODEL}"
    return HealthResult(Result.FAILURE, message)


def _running(observation: Observation) -> HealthResult:
    if observation.stall is not None:
        message = f"{observation.stall.message} {STUCK_HINT}"
        return HealthResult(Result.FAILURE, message)
    if observation.api is Api.READY:
        return HealthResult(Result.SUCCESS, READY)
    if observation.api is Api.UNWELL:
        message = f"The vLLM API answers with HTTP status {observation.api_status}."
        return HealthResult(Result.FAILURE, message)
    return _silent(observation)


def _silent(observation: Observation) -> HealthResult:
    if observation.is_host_stopping:
        # It has closed its port and has not ended yet: nothing is loading.
        return HealthResult(Result.FAILURE, STOPPING)
    if observation.elapsed_s < LOADING_WINDOW_S:
        return _with_detail(Result.LOADING, LOADING, observation)
    download = _download_of_start(observation)
    if download is not None and download.is_moving(observation.now_s):
        return _with_detail(Result.FAILURE, TIMED_OUT, observation)
    return HealthResult(Result.FAILURE, _with_failure(TIMED_OUT, observation))


def check_download(observation: Observation) -> HealthResult:
    """Tell a download that moves from one that stands still."""
    download = _download_of_start(observation) or _download_of_switch(observation)
    if download is None:
        return _download_result(Result.DISABLED, NO_DOWNLOAD)
    is_well = download.is_moving(observation.now_s)
    text = download.describe(observation.now_s)
    return _download_result(Result.LOADING if is_well else Result.FAILURE, text)


def _download_result(result: Result, message: str) -> HealthResult:
    return HealthResult(result, message, id=DOWNLOAD_ID, name=DOWNLOAD_NAME)


def _download_of_start(observation: Observation) -> Download | None:
    start = observation.start
    if start is None or observation.engine is not Engine.RUNNING:
        return None
    return Download.of_start(start) if start.phase == Phase.DOWNLOAD else None


def _download_of_switch(observation: Observation) -> Download | None:
    progress = observation.preparation
    # Where the service was stopped in the middle, nobody downloads.
    if progress is None or not observation.is_host_running:
        return None
    return Download.of_switch(progress)


def _with_detail(result: Result, text: str, observation: Observation) -> HealthResult:
    """Return a result whose text is followed by how far the start is."""
    start = observation.start
    if start is None:
        return HealthResult(result, text)
    detail = describe_start(start, observation.now_s)
    message = _with_failure(f"{text} {detail}" if detail else text, observation)
    return HealthResult(result, message, detail=detail, phase=start.phase)


def _with_failure(text: str, observation: Observation) -> str:
    """Return a text that is followed by why the start before failed, if it did."""
    failure = observation.earlier_failure
    if failure is None:
        return text
    why = f"{failure.summary} {failure.fix or failure.hint}"
    return f"{text} The start before this one failed: {why}"


def _not_running(observation: Observation) -> HealthResult:
    failure = observation.failure
    if not observation.is_host_running:
        return HealthResult(Result.FAILURE, NOT_RUNNING)
    if observation.is_host_stopping:
        return HealthResult(Result.FAILURE, STOPPING)
    if failure is not None:
        texts = (failure.summary, failure.hint, observation.switch_note)
        return HealthResult(Result.FAILURE, " ".join(filter(None, texts)))
    if observation.engine is Engine.NEVER_STARTED:
        return HealthResult(Result.STARTING, STARTING)
    if observation.engine is Engine.STOPPING:
        return _stopping(observation.start)
    return HealthResult(Result.FAILURE, ENDED)


def _stopping(start: StartRecord | None) -> HealthResult:
    if start is not None and start.is_kept_stopped:
        # Nothing is broken: it is as somebody wanted it.
        return HealthResult(Result.DISABLED, STOPPED)
    return HealthResult(Result.STARTING, RESTARTING)

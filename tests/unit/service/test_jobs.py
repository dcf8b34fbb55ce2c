"""Jobs beside the service: what their files say of them."""

from __future__ import annotations

import json

import pytest

from support.settings_factory import make_settings
from support.waiting import wait_until
from vllm_pkg.engine.background import start_in_background
from vllm_pkg.errors import ConfigError, NotAllowedInState, NotFound
from vllm_pkg.service import jobs, pulling
from vllm_pkg.service.jobs import Kind, State


@pytest.fixture
def settings(tmp_path):
    """Settings over empty volumes."""
    return make_settings(tmp_path, HF_HUB_OFFLINE="1")


def _over(settings, job_id):
    job = jobs.find_job(settings, job_id)
    return None if job.is_running else job


def test_what_this_process_does_is_seen(settings):
    """A download in a terminal is a job as well: it runs, then it is done."""
    with jobs.reporting(settings, Kind.PULL, "org/name", None) as reporter:
        reporter.progress({"state": "downloading", "bytes_done": 5})
        (running,) = jobs.list_jobs(settings)
        reporter.done({"repositories": ["org/name"]})
    (done,) = jobs.list_jobs(settings, Kind.PULL)

    assert running.state is State.RUNNING
    assert running.progress == {"state": "downloading", "bytes_done": 5}
    assert done.state is State.DONE
    assert done.result == {"repositories": ["org/name"]}
    assert jobs.list_jobs(settings, Kind.VERIFY) == ()


def test_a_failure_is_kept_with_its_hint(settings):
    """Whoever asks later learns why it failed and what to do."""
    error = ConfigError("it broke", hint="mend it")
    with (
        pytest.raises(ConfigError),
        jobs.reporting(settings, Kind.PULL, "org/name", None),
    ):
        raise error
    (job,) = jobs.list_jobs(settings)

    assert job.state is State.FAILED
    assert job.error == error.as_json()["error"]


def test_a_process_that_ended_without_a_word_was_interrupted(settings):
    """Nobody waits for ever for a job whose process has gone."""
    with jobs.reporting(settings, Kind.PULL, "org/name", None):
        (job,) = jobs.list_jobs(settings)
    record = settings.jobs_dir / job.id / "record.json"
    document = json.loads(record.read_text())
    document["process"]["started_ticks"] += 1
    record.write_text(json.dumps(document))

    assert jobs.find_job(settings, job.id).state is State.INTERRUPTED


@pytest.mark.parametrize("name", ["", "x", "../..", "0123456789ab", "0123456789AB"])
def test_other_names_are_no_jobs(settings, name):
    """A name leads to a job, and never to another folder."""
    with pytest.raises(NotFound):
        jobs.find_job(settings, name)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"kind": "x"}', '{"wanted": []}'])
def test_a_damaged_record_is_no_job(settings, text):
    """What cannot be understood counts as not there."""
    with jobs.reporting(settings, Kind.PULL, "org/name", None):
        (job,) = jobs.list_jobs(settings)
    (settings.jobs_dir / job.id / "record.json").write_text(text)

    assert jobs.list_jobs(settings) == ()


def test_old_jobs_are_forgotten(settings):
    """What is over is kept for a while, and then makes room."""
    for _ in range(jobs.KEPT + 3):
        with jobs.reporting(settings, Kind.PULL, "org/name", None) as reporter:
            reporter.done({})

    assert len(jobs.list_jobs(settings)) == jobs.KEPT + 1


def test_a_check_runs_in_a_process_of_its_own(settings):
    """It is begun, goes on by itself, and tells what came of it."""
    began = pulling.verify(settings, "", is_full=False, is_repair=False)
    job = wait_until(lambda: _over(settings, began.id), 50, "the end of the check")

    assert began.is_running
    assert job.state is State.DONE
    assert job.result == {
        "files": 0,
        "damaged": 0,
        "repaired": 0,
        "first_damaged": [],
    }
    with pytest.raises(NotAllowedInState):
        jobs.cancel_job(settings, job.id)


def test_a_check_of_what_is_not_there_fails(settings):
    """The job carries the error that the command would have printed."""
    began = pulling.verify(settings, "org/none", is_full=True, is_repair=True)
    job = wait_until(lambda: _over(settings, began.id), 50, "the end of the check")

    assert job.state is State.FAILED
    assert job.error is not None
    assert job.error["code"] == "not-in-cache"


def test_the_same_job_is_not_begun_twice_and_can_be_ended(settings, monkeypatch):
    """Whoever asks again is shown the one that runs; ended, it counts as cancelled."""
    sleeper = "import time; time.sleep(60)"
    monkeypatch.setattr(
        "vllm_pkg.service.jobs.start_in_background",
        lambda argv, log, env: start_in_background([argv[0], "-c", sleeper], log, env),
    )
    first = jobs.start_job(settings, Kind.PULL, "org/name")
    second = jobs.start_job(settings, Kind.PULL, "org/name")
    other = jobs.start_job(settings, Kind.PULL, "org/name", "--revision", "x")

    assert first.id == second.id
    assert other.id != first.id

    ended = jobs.cancel_job(settings, first.id)
    jobs.cancel_job(settings, other.id)

    assert ended.state is State.CANCELLED
    with pytest.raises(NotAllowedInState):
        jobs.cancel_job(settings, first.id)

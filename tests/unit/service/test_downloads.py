"""Every download that goes on, whoever has begun it."""

from __future__ import annotations

import pytest

from support.settings_factory import make_settings
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.errors import NotAllowedInState, NotFound
from vllm_pkg.service import downloads, jobs
from vllm_pkg.state import records, switch_file
from vllm_pkg.state.switch import Selected


@pytest.fixture
def settings(tmp_path):
    """Settings over empty volumes."""
    return make_settings(tmp_path)


def _start(settings, phase):
    start = records.StartRecord(
        own_identity(),
        1.0,
        "127.0.0.1",
        8000,
        "org/one",
        phase=phase,
        repository="org/one",
        bytes_done=5,
        bytes_total=10,
        bytes_per_s=1.6,
        eta_s=3.4,
        is_stalled=True,
    )
    records.write_record(settings.start_file, start)


def test_the_download_of_a_start_is_listed_and_stays(settings):
    """It belongs to the start: it is seen, and ends with the start only."""
    _start(settings, "download")

    (one,) = downloads.list_downloads(settings)

    assert one["id"] == "start"
    assert one["state"] == "stalled"
    assert (one["bytesDone"], one["bytesTotal"], one["bytesPerS"]) == (5, 10, 2)
    assert one["etaS"] == 3
    with pytest.raises(NotAllowedInState, match="start of the engine"):
        downloads.cancel(settings, "start")


def test_a_start_that_downloads_nothing_is_no_download(settings):
    """The phases after it are the start's own."""
    _start(settings, "load")

    assert downloads.list_downloads(settings) == []
    with pytest.raises(NotFound):
        downloads.cancel(settings, "start")


def test_a_download_of_its_own_is_listed(settings):
    """With its progress while it runs, and its outcome afterwards."""
    progress = {
        "repository": "org/two",
        "state": "stalled",
        "bytes_done": 1,
        "bytes_total": 4,
        "bytes_per_s": 7,
        "eta_s": None,
    }
    with jobs.reporting(settings, jobs.Kind.PULL, "org/two", None) as reporter:
        reporter.progress(progress)
        (running,) = downloads.list_downloads(settings)
        reporter.done({})
    (done,) = downloads.list_downloads(settings)

    assert (running["state"], running["isCancellable"]) == ("stalled", True)
    assert (running["source"], running["bytesPerS"]) == ("pull", 7)
    assert (done["state"], done["isCancellable"]) == ("done", False)
    assert done["bytesPerS"] is None
    assert downloads.find_download(settings, done["id"]) == done


def test_the_preparation_of_a_switch_is_a_download_that_can_be_ended(settings):
    """Ending it ends the switch: the old model goes on serving."""
    switches = switch_file.request_switch(settings, Selected(("org/new",)))
    assert switches.current is not None
    switch_file.write_progress(
        settings,
        switch_file.SwitchProgress(
            switches.current.id,
            "org/new",
            1,
            2,
            3.0,
            4.0,
            is_stalled=False,
            updated_s=1,
        ),
    )

    (one,) = downloads.list_downloads(settings)
    downloads.cancel(settings, "switch")

    assert (one["id"], one["model"], one["etaS"]) == ("switch", "org/new", 4)
    assert downloads.list_downloads(settings) == []

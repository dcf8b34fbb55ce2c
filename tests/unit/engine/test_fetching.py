"""The download before the engine: what is told of it, and how it ends."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.engine.fetching import (
    Fetched,
    TransferPublisher,
    fetch_models,
    needs_fetching,
    with_transfer,
    without_transfer,
)
from vllm_pkg.engine.phases import Phase
from vllm_pkg.errors import ServiceError
from vllm_pkg.models.download.ensure import DownloadReport
from vllm_pkg.models.download.progress import Transfer, TransferState
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity

START = records.StartRecord(
    ProcessIdentity(4, 5, "boot-1"), 990.0, "127.0.0.1", 1, "x", key="key"
)
HALF = Transfer(
    repository="org/name",
    state=TransferState.DOWNLOADING,
    bytes_done=500,
    bytes_total=1000,
    bytes_per_s=25.0,
    eta_s=20.0,
)
LISTING = Transfer(repository="org/name", state=TransferState.LISTING)
WHOLE = replace(HALF, state=TransferState.DONE, bytes_done=1000)


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings with a start whose download begins."""
    settings = make_settings(tmp_path)
    records.write_record(settings.start_file, START)
    return settings


def read(settings):
    """Return the record of the start."""
    start = records.read_start(settings)
    assert start is not None
    return start


@pytest.mark.parametrize(
    ("model", "offline", "is_needed"),
    [
        ("org/name", "", True),
        ("org/name", "0", True),
        ("org/name", "1", False),
        ("org/name", "true", False),
        ("", "", False),
        ("/models/mine", "", False),
        ("./mine", "", False),
        ("../mine", "", False),
        ("~/mine", "", False),
        ("s3://bucket/name", "", False),
    ],
)
def test_repositories_are_fetched(model, offline, is_needed):
    """Folders, other stores and whoever forbids the network are left alone."""
    assert needs_fetching(model, {"HF_HUB_OFFLINE": offline}) is is_needed
    assert needs_fetching("org/name", {}) is True


def test_a_download_is_told_in_bytes():
    """The record has its share, its bytes, speed and time, and the whole percent."""
    start = with_transfer(START, HALF, 980.0, {}, 1000.0)

    assert start == replace(
        START,
        phase="download",
        phase_percent=50.0,
        percent=25.0,
        eta_s=20.0,
        repository="org/name",
        bytes_done=500,
        bytes_total=1000,
        bytes_per_s=25.0,
        updated_s=1000.0,
    )


def test_what_follows_the_download_is_added_when_it_is_known():
    """With earlier starts the time is that of the whole start."""
    start = with_transfer(START, HALF, 980.0, {Phase.LOAD: 60.0}, 1000.0)

    # 20 s of 40 s of download, and 60 s after it.
    assert (start.percent, start.eta_s) == (20.0, 80.0)


def test_before_the_list_is_there_nothing_is_known():
    """No share, no bytes and no time, rather than nothing of nothing."""
    start = with_transfer(START, LISTING, 1000.0, {}, 1000.0)

    assert (start.phase, start.repository) == ("download", "org/name")
    assert (start.phase_percent, start.bytes_done, start.bytes_total) == (None,) * 3
    assert (start.percent, start.eta_s) == (0.0, None)


def test_a_stall_is_told():
    """The record says that no byte comes."""
    stalled = replace(HALF, state=TransferState.STALLED, eta_s=None)

    assert with_transfer(START, stalled, 980.0, {}, 1000.0).is_stalled


def test_after_the_download_the_engine_begins():
    """Its seconds are a phase that is over, and its bytes stay to be read."""
    during = with_transfer(START, HALF, 980.0, {}, 1000.0)

    start = without_transfer(during, 20.5, 1000)

    assert (start.phase, start.phases) == ("starting", (("download", 20.5),))
    assert (start.bytes_done, start.bytes_total) == (1000, 1000)
    assert (start.phase_percent, start.eta_s, start.bytes_per_s) == (None, None, None)
    assert start.percent == 25.0


def test_a_download_of_nothing_was_none():
    """Where all was there already, nothing of it is left in the record."""
    during = with_transfer(START, LISTING, 1000.0, {}, 1000.0)

    assert without_transfer(during, 0.5, None) == replace(START, updated_s=1000.0)


def test_it_is_published_twice_a_second(settings):
    """More often nothing is written; the end is written at once."""
    clock = FakeClock()
    publisher = TransferPublisher(settings, START, clock)
    publisher(LISTING)
    listing = read(settings)
    clock.seconds += 0.4
    publisher(HALF)
    soon = read(settings)
    clock.seconds += 0.1
    publisher(HALF)
    half = read(settings)
    clock.seconds += 0.1
    publisher(WHOLE)
    clock.seconds += 9.4
    publisher.finish(500)

    assert listing.phase == "download"
    assert soon == listing
    assert half.bytes_done == 500
    end = read(settings)
    assert end.phases == (("download", 10.0),)
    assert (end.bytes_done, end.bytes_total) == (1000, 1000)


def test_what_is_whole_already_is_no_download(settings):
    """A cache that is complete is not shown as a download."""
    publisher = TransferPublisher(settings, START, FakeClock())

    publisher(WHOLE)
    publisher.finish(0)

    assert read(settings) == START


def test_a_record_that_cannot_be_written_stops_nothing(settings):
    """The download goes on without telling."""
    settings.start_lock_file.mkdir()

    TransferPublisher(settings, START, FakeClock())(HALF)

    assert read(settings) == START


@pytest.fixture(name="ensure")
def ensure_fixture(monkeypatch):
    """Let a test say what the download does."""

    def replace_it(function):
        monkeypatch.setattr("vllm_pkg.models.download.ensure.ensure_models", function)

    return replace_it


def fetch(settings):
    """Fetch for the start."""
    return fetch_models(settings, ("org/name",), {"A": "b"}, START, FakeClock())


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_download_that_ends_says_whether_all_is_there(settings, ensure, is_complete):
    """The engine is kept from the network only when all is there."""
    given = []

    def ensure_models(*arguments):
        given.append(arguments[:3])
        arguments[3](HALF)
        return DownloadReport(is_complete, 500, ("org/name",))

    ensure(ensure_models)

    assert fetch(settings) == Fetched(is_complete, is_cancelled=False)
    assert given == [(settings, ("org/name",), {"A": "b"})]
    assert read(settings).phases == (("download", 0.0),)


def test_an_error_of_the_download_is_the_starts(settings, ensure):
    """What cannot be fetched ends the start with its own error."""

    def ensure_models(*_):
        raise ServiceError("there is no such repository")

    ensure(ensure_models)

    with pytest.raises(ServiceError, match="no such repository"):
        fetch(settings)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("is_raised", [True, False])
def test_a_signal_cancels(settings, ensure, number, is_raised):
    """It is heeded meanwhile, and afterwards it is as blocked as it was before."""
    asked = []

    def ensure_models(*arguments):
        asked.append(arguments[4]())
        os.kill(os.getpid(), number)
        asked.append(arguments[4]())
        if is_raised:
            raise ServiceError("cancelled")
        return DownloadReport(True, 0, ())  # noqa: FBT003

    ensure(ensure_models)
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    handler = signal.getsignal(number)
    try:
        fetched = fetch(settings)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)

    assert asked == [False, True]
    assert fetched.is_cancelled
    assert number in mask
    assert signal.getsignal(number) == handler

"""What is done for the next model while the present one serves."""

from __future__ import annotations

import pytest

from support.fake_clock import FakeClock
from support.hub_server import HubServer
from support.settings_factory import make_settings
from support.switching import OLD, prepare_store
from support.tiny_checkpoint import write_checkpoint
from vllm_pkg.errors import EngineStartFailed, ModelDoesNotFit, ModelFolderMissing
from vllm_pkg.hosts.fetcher import preparation
from vllm_pkg.models.download.errors import DownloadCancelled
from vllm_pkg.models.download.progress import Transfer, TransferState
from vllm_pkg.state.store import EnvironmentVariable
from vllm_pkg.state.switch import Selected, Switch
from vllm_pkg.state.switch_file import read_progress

AT = "2026-01-01T00:00:00+00:00"
OFFLINE = EnvironmentVariable("HF_HUB_OFFLINE", "1")


@pytest.fixture(name="prepare")
def prepare_fixture(tmp_path):
    """A function that prepares what is selected by some arguments."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)

    def prepare(*arguments, env=(), is_cancelled=lambda: False):
        target = Selected(arguments, env)
        switch = Switch("id", target, OLD, AT, AT)
        preparation.prepare(settings, switch, is_cancelled)

    return prepare


def test_what_needs_no_download_is_prepared(prepare, tmp_path, monkeypatch):
    """A folder, and a model that may not be fetched, are ready without their Hub."""
    folder = write_checkpoint(tmp_path / "model")
    with HubServer() as hub:
        hub.add("org/name", folder)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

        prepare(str(folder))
        prepare("org/name", env=(OFFLINE,))
        asked = list(hub.requests)
        # The same model, where it may be fetched.
        _cancel(prepare)

    assert asked == []
    assert hub.requests


def test_a_missing_folder_is_told(prepare, tmp_path):
    """A folder without a model fails before anything is changed."""
    with pytest.raises(ModelFolderMissing):
        prepare(str(tmp_path / "none"))


def test_refused_arguments_are_told(prepare):
    """What the daemon would refuse fails while the old model serves."""
    with pytest.raises(EngineStartFailed, match="--port"):
        prepare("org/name", "--port", "1")


def test_what_does_not_fit_is_told_before_the_download(prepare, tmp_path):
    """What cannot run as it is fails while the old model serves, with the change."""
    model = str(write_checkpoint(tmp_path / "model"))

    with pytest.raises(ModelDoesNotFit) as caught:
        prepare(model, "--max-model-len", "4096")

    assert caught.value.hint == "put --max-model-len 2048 into its arguments"


def test_a_download_can_be_cancelled(prepare, tmp_path, monkeypatch):
    """A model of the Hub is fetched, until it is cancelled."""
    with HubServer() as hub:
        hub.add("org/name", write_checkpoint(tmp_path / "model"))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        _cancel(prepare)


def _cancel(prepare):
    asked = []

    def is_cancelled():
        asked.append(1)
        return True

    with pytest.raises(DownloadCancelled):
        prepare("org/name", is_cancelled=is_cancelled)
    assert asked


def test_progress_is_written_now_and_then(tmp_path):
    """Twice a second is often enough."""
    settings = make_settings(tmp_path)
    clock = FakeClock()
    publisher = preparation.Publisher(settings, "id", clock)
    for done in (1, 2):
        publisher(Transfer("org/name", TransferState.DOWNLOADING, 0, 1, done, 9, 2.04))
    first = read_progress(settings, "id")
    clock.seconds += 0.5
    publisher(Transfer("org/name", TransferState.STALLED, 0, 1, 3, 9, 0.0, 4.06))
    second = read_progress(settings, "id")

    assert first is not None
    assert second is not None
    assert (first.bytes_done, first.bytes_per_s, first.eta_s) == (1, 2.0, None)
    assert (second.bytes_done, second.eta_s, second.is_stalled) == (3, 4.1, True)

"""What is done for the next model while the present one serves."""

from __future__ import annotations

import pytest

from support import hub_faults
from support.downloads import WEIGHTS, write_model
from support.fake_clock import FakeClock
from support.hub_cache import write_cached_model
from support.hub_server import HubServer
from support.settings_factory import make_settings
from support.switching import OLD, prepare_store
from support.tiny_checkpoint import SHARDS, write_checkpoint
from vllm_pkg.errors import (
    EngineStartFailed,
    ModelDoesNotFit,
    ModelFolderDamaged,
    ModelFolderMissing,
)
from vllm_pkg.hosts.fetcher import preparation
from vllm_pkg.models.download.errors import (
    DownloadCancelled,
    DownloadCorrupt,
    OfflineIncomplete,
    RepositoryHidden,
)
from vllm_pkg.models.download.hashing import header_problem
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.progress import Transfer, TransferState
from vllm_pkg.models.tiny import tiny_files
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


@pytest.fixture(name="hub")
def hub_fixture(tmp_path, monkeypatch):
    """A Hub that serves ``org/name``."""
    with HubServer() as hub:
        hub.add("org/name", write_model(tmp_path / "served", tiny_files()))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub


@pytest.fixture(name="damaged")
def damaged_fixture(tmp_path, hub, prepare):
    """The weights in the cache, whole but for their header: as long, and all zero."""
    prepare("org/name")
    folder = RepositoryFolder(make_settings(tmp_path).models_dir, "org/name")
    weights = folder.pointer(folder.commit_of("main") or "", WEIGHTS)
    with weights.open("r+b") as stream:
        stream.write(bytes(64))
    hub.sent_bytes.clear()
    return weights


def test_what_needs_no_download_is_prepared(prepare, tmp_path, hub):
    """A folder, and a model that is in the cache, are ready without the Hub."""
    (tmp_path / "config.json").write_text("{}")
    write_cached_model(make_settings(tmp_path).models_dir, "org/name")

    prepare(str(tmp_path))
    prepare("org/name", env=(OFFLINE,))

    assert hub.requests == []


def test_a_damaged_folder_is_told_while_the_present_model_serves(prepare, tmp_path):
    """Weights that were cut off in a model folder end the switch before the swap."""
    folder = write_checkpoint(tmp_path / "model")
    with (folder / min(SHARDS)).open("r+b") as stream:
        stream.truncate(99)

    with pytest.raises(ModelFolderDamaged, match="is damaged"):
        prepare(str(folder))


def test_what_is_missing_and_may_not_be_fetched_is_told(prepare):
    """Offline, a model that is not in the cache fails while the old one serves."""
    with pytest.raises(OfflineIncomplete, match="org/name is not complete"):
        prepare("org/name", env=(OFFLINE,))


def test_damage_in_the_cache_is_mended_and_nothing_else_is_fetched(
    prepare, hub, damaged
):
    """A header of zeros, which no size shows, is found and fetched again."""
    assert header_problem(damaged) is not None

    prepare("org/name")

    assert damaged.read_bytes() == tiny_files()[WEIGHTS]
    # Whether it fits is asked before: of the Hub, where the weights here say nothing.
    asked = {name for _, name in hub.sent_bytes}
    assert asked == {WEIGHTS, "config.json"}


@pytest.mark.usefixtures("damaged")
def test_damage_that_may_not_be_fetched_again_is_told(prepare, hub):
    """Offline, the reason names the file; nothing is asked for, nothing removed."""
    before = len(hub.requests)

    with pytest.raises(OfflineIncomplete) as caught:
        prepare("org/name", env=(OFFLINE,))

    assert caught.value.message == (
        f"org/name: {WEIGHTS} is damaged in the cache"
        " (its header is damaged), and HF_HUB_OFFLINE is set"
    )
    assert len(hub.requests) == before


def test_damage_that_cannot_be_fetched_again_is_told(prepare, hub, damaged):
    """Where the Hub has it no more, the reason says both, and what is there stays."""
    del hub.repositories["org/name"]

    with pytest.raises(RepositoryHidden) as caught:
        prepare("org/name")

    told = f"org/name: {WEIGHTS} is damaged in the cache (its header is damaged) and"
    assert caught.value.message.startswith(f"{told} cannot be fetched again: ")
    assert damaged.is_file()


def test_mending_can_be_cancelled(prepare, hub, damaged):
    """A switch that is given up meanwhile ends at once."""
    hub.fail("org/name", hub_faults.API, hub_faults.stall(0))

    with pytest.raises(DownloadCancelled):
        prepare("org/name", is_cancelled=lambda: True)

    assert damaged.is_file()


def test_what_is_damaged_on_the_hub_is_told(prepare, hub, tmp_path):
    """Weights that nobody can load fail the switch, and not the engine."""
    broken = tiny_files() | {WEIGHTS: bytes(64), "tokenizer.json": b"{}"}
    hub.add("org/broken", write_model(tmp_path / "broken", broken))

    with pytest.raises(DownloadCorrupt, match="and it is so on the Hub, too"):
        prepare("org/broken")


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


@pytest.mark.usefixtures("hub")
def test_a_download_can_be_cancelled(prepare):
    """A model of the Hub is fetched, until it is cancelled."""
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

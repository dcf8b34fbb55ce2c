"""One cache for this package and for huggingface_hub's own ``snapshot_download``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil
import pytest

from support import hub_faults
from support.downloads import FILES, WEIGHTS
from support.waiting import wait_until
from vllm_pkg.models.cache import list_cached
from vllm_pkg.models.download.errors import DownloadCancelled
from vllm_pkg.models.tiny import tiny_files

# What the engine loads, so that both programs want the same files.
PROGRAM = """
import json, sys
from huggingface_hub import snapshot_download
repository, cache, names = json.loads(sys.argv[1])
print(snapshot_download(repository, cache_dir=cache, allow_patterns=names))
"""


def begin_snapshot(downloads, repository):
    """Start the real snapshot_download in a program of its own."""
    asked = json.dumps([repository, str(downloads.settings.models_dir), sorted(FILES)])
    environ = downloads.environ | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return psutil.Popen(
        [sys.executable, "-c", PROGRAM, asked], env=environ, stdout=-1, stderr=-1
    )


def take_snapshot(downloads, repository):
    """Let it fetch a repository, and return the folder that it names."""
    process = begin_snapshot(downloads, repository)
    output, errors = process.communicate(timeout=50)
    assert process.returncode == 0, errors.decode()
    return Path(output.decode().strip())


def partial_files(downloads):
    """Return the files that have not arrived whole, with their content."""
    found = downloads.settings.models_dir.rglob("*.incomplete")
    return {path: path.read_bytes() for path in found}


@pytest.fixture(name="repository", params=["http", "xet"])
def repository_fixture(request, downloads, model):
    """A repository in ordinary storage, and one in Xet storage."""
    name = f"org/{request.param}"
    downloads.hub.add(name, model, has_xet=request.param == "xet")
    return name


def test_theirs_after_ours_fetches_nothing(downloads, repository):
    """It finds our files under its own names, and sends for none of them."""
    downloads.ensure(repository)
    before = dict(downloads.hub.sent_bytes)

    folder = take_snapshot(downloads, repository)

    assert downloads.hub.sent_bytes == before
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / WEIGHTS).read_bytes() == tiny_files()[WEIGHTS]


def test_theirs_into_an_empty_cache_fetches_all(downloads, repository):
    """The control: what is not there is sent for, and counted."""
    take_snapshot(downloads, repository)

    assert sum(downloads.hub.sent_bytes.values()) >= len(tiny_files()[WEIGHTS])


def test_ours_after_theirs_fetches_nothing(downloads, repository):
    """Neither at a start, nor when newer commits are asked for."""
    take_snapshot(downloads, repository)
    before = dict(downloads.hub.sent_bytes)

    started = downloads.ensure(repository)
    pulled = downloads.ensure(repository, is_refresh=True)

    assert downloads.hub.sent_bytes == before
    assert (started.is_complete, pulled.is_complete) == (True, True)
    assert downloads.content(repository, WEIGHTS) == tiny_files()[WEIGHTS]
    assert not any(entry.is_partial for entry in list_cached(downloads.settings))


def test_ours_after_an_interrupted_one_of_theirs(downloads, hub):
    """
    What theirs has left when it was killed stays as it is; ours ends with the right
    bytes, and theirs then fetches nothing.
    """
    hub.fail("org/tiny", WEIGHTS, hub_faults.slow(1_000_000))
    theirs = begin_snapshot(downloads, "org/tiny")
    wait_until(lambda: downloads.sent_bytes("org/tiny") > 400_000, 30, "bytes arrive")
    theirs.kill()
    theirs.communicate()
    left = partial_files(downloads)
    hub.fail("org/tiny", WEIGHTS)

    downloads.ensure("org/tiny")
    before = dict(hub.sent_bytes)
    kept = partial_files(downloads)
    take_snapshot(downloads, "org/tiny")

    assert theirs.returncode != 0
    assert kept == left
    assert hub.sent_bytes == before
    assert downloads.content("org/tiny", WEIGHTS) == tiny_files()[WEIGHTS]


def test_theirs_after_an_interrupted_one_of_ours(downloads, hub):
    """And the other way round: both end with the right bytes."""
    hub.fail("org/tiny", WEIGHTS, hub_faults.slow(1_000_000))
    with pytest.raises(DownloadCancelled):
        downloads.ensure(
            "org/tiny", is_cancelled=lambda: downloads.partial_bytes() > 300_000
        )
    hub.fail("org/tiny", WEIGHTS)

    folder = take_snapshot(downloads, "org/tiny")
    before = dict(hub.sent_bytes)
    downloads.ensure("org/tiny")

    assert (folder / WEIGHTS).read_bytes() == tiny_files()[WEIGHTS]
    assert hub.sent_bytes == before

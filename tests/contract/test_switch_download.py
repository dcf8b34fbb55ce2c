"""
Switches that have to download: what goes on meanwhile, and in which order.

The host is real, the Hub is the test's own and the engine is a fake. Nothing is timed:
the Hub keeps silent until the test has seen what it wants to see.
"""

from __future__ import annotations

import json

import psutil
import pytest

from support import hub_faults
from support.downloads import write_model
from support.fake_host import make_fake_host
from support.hub_server import HubServer
from support.waiting import wait_until
from vllm_pkg.models.download.completeness import is_complete
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.needs import Need
from vllm_pkg.models.tiny import tiny_files
from vllm_pkg.settings import load_settings

pytestmark = pytest.mark.timeout(180)
NEW = "org/new"
LAST = "tokenizer.json"
WAIT_S = 60.0


@pytest.fixture(name="hub", scope="module")
def hub_fixture(tmp_path_factory):
    """A Hub with the model that is switched to."""
    folder = tmp_path_factory.mktemp("served")
    with HubServer() as hub:
        hub.add(NEW, write_model(folder / "new", tiny_files()))
        yield hub


@pytest.fixture(name="host", scope="module")
def host_fixture(tmp_path_factory, hub):
    """A service that serves a folder, and gives a silent Hub up after 8 seconds."""
    host = make_fake_host(tmp_path_factory.mktemp("switch"))
    host.variables |= {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "",
        "VLLM_PKG_DOWNLOAD_STALL_TIMEOUT_S": "8",
    }
    host.select_model()
    host.start()
    host.wait_result("success")
    wait_until((host.main / "run" / "fetcher.json").exists, 20, "the fetcher")
    yield host
    host.interrupt()
    host.destroy()


def set_model(host):
    """Run Set Model and return its result."""
    value = {"selection": "custom", "value": {"args": NEW, "env": []}}
    arguments = ("action", "run", "set-model", "--input", "-")
    return host.json(*arguments, stdin=json.dumps({"config": value}))


def download(host):
    """Return what the check of the download says."""
    done = host.command("health", "--check", "download", "--json")
    return json.loads(done.stdout)


def wait_download(host, result):
    """Wait until the check of the download has a result, and return its message."""

    def reached():
        found = download(host)
        return found["message"] if found["result"] == result else None

    return wait_until(reached, WAIT_S, f"a download that is {result}")


def test_set_model_returns_before_the_hub_has_answered(host, hub):
    """The action waits for no Hub; the switch does, and can be cancelled."""
    hub.fail(NEW, hub_faults.API, hub_faults.stall(0))

    result = set_model(host)

    assert result["title"] == "Switch Begun"
    # What is answered is written down; the Hub has said nothing of this model yet.
    assert [request for request in hub.requests if NEW in request.path] == []
    assert host.json("switch", "status", "--json")["current"]["phase"] == "preparing"
    assert wait_download(host, "failure") == (
        f"The download of {NEW} stands still. It is tried again by itself."
    )
    cancelled = host.json("switch", "cancel", "--json")["current"]
    assert cancelled["phase"] == "cancelled"
    assert download(host)["result"] == "disabled"
    hub.fail(NEW, hub_faults.API)


def test_the_old_model_serves_until_the_new_one_is_there(host, hub):
    """Its engine is ended only when the last byte has come, and health tells why."""
    settings = load_settings(host.environment)
    (first,) = host.fake.starts()
    before = json.loads((host.main / "store.json").read_text())
    hub.fail(NEW, LAST, hub_faults.stall(0))

    set_model(host)
    told = wait_download(host, "failure")

    assert told.startswith(f"The download of {NEW} stands still at ")
    assert host.health()["result"] == "success"
    assert host.starts() == 1
    assert json.loads((host.main / "store.json").read_text()) == before
    progress = host.json("status", "--json")["switch"]["current"]["progress"]
    assert 0 < progress["bytesDone"] < progress["bytesTotal"]

    def is_old_ended():
        # In this order: what is whole now was so before the engine was looked at.
        is_whole = is_complete(settings, Need(NEW))
        is_ended = not psutil.pid_exists(first["pid"])
        assert is_whole or not is_ended
        return is_ended

    hub.fail(NEW, LAST)
    wait_until(is_old_ended, WAIT_S, "the end of the old engine")
    assert host.wait_switch()["phase"] == "done"

    second = host.fake.starts()[1]
    assert second["argv"][second["argv"].index("serve") + 1] == NEW
    started_ns = (host.folder / "fake" / "starts").stat().st_mtime_ns
    blobs = RepositoryFolder(settings.models_dir, NEW).path / "blobs"
    assert max(path.stat().st_mtime_ns for path in blobs.iterdir()) < started_ns
    assert download(host)["result"] == "disabled"

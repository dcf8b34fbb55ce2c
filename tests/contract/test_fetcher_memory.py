"""What a fetcher that waits has in memory after it asked the Hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.downloads import WEIGHTS, write_model
from support.hub_server import HubServer
from support.settings_factory import make_settings
from support.switching import OLD, prepare_store
from vllm_pkg.models.tiny import tiny_files

# The client of the Hub, what it brings with it, and what reads GPUs.
HEAVY = {"huggingface_hub", "httpx", "hf_xet", "pynvml"}
PREPARE = """\
import json, os, sys
from vllm_pkg.hosts.fetcher import preparation
from vllm_pkg.settings import load_settings
from vllm_pkg.state.switch import Selected, Switch

if sys.argv[1] == "here":
    from vllm_pkg.engine import apart
    apart.call_apart = lambda function, *arguments: function(*arguments)
at = "2026-01-01T00:00:00+00:00"
nothing = Selected((), ())
switch = Switch("id", Selected(("org/name",), ()), nothing, at, at)
preparation.prepare(load_settings(os.environ), switch, lambda: False)
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps(loaded))
"""


@pytest.fixture(name="prepare")
def prepare_fixture(tmp_path):
    """Prepare a switch to a model of the Hub; return what is loaded afterwards."""
    settings = make_settings(tmp_path)
    prepare_store(settings, OLD)
    with HubServer() as hub:
        hub.add("org/name", write_model(tmp_path / "served", tiny_files()))
        places = {
            "VLLM_PKG_MAIN": str(settings.main),
            "VLLM_PKG_PUBLIC": str(settings.public),
            "VLLM_PKG_VARIANT": "cpu",
            "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "",
        }

        def prepare(where):
            done = subprocess.run(
                [sys.executable, "-c", PREPARE, where],
                env=os.environ | places,
                capture_output=True,
                text=True,
                check=True,
            )
            assert hub.sent_bytes["org/name", WEIGHTS] > 0
            return set(json.loads(done.stdout))

        yield prepare


def test_the_hubs_client_does_not_stay(prepare):
    """After a model was judged and fetched, nothing of it is in the process."""
    assert HEAVY & prepare("apart") == set()


def test_the_hubs_client_would_be_seen(prepare):
    """The control: judged in the process itself, the library is in memory."""
    assert "huggingface_hub" in prepare("here")

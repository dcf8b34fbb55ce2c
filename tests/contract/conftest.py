"""A Hub on loopback with the tiny model, for the tests that download."""

from __future__ import annotations

import pytest

from support.downloads import make_downloads, write_model
from support.hub_server import HubServer


@pytest.fixture(name="hub")
def hub_fixture():
    """A Hub that serves nothing yet."""
    with HubServer() as hub:
        yield hub


@pytest.fixture(name="model")
def model_fixture(tmp_path):
    """The tiny model's folder, with what stands beside weights on the Hub."""
    return write_model(tmp_path / "served")


@pytest.fixture(name="downloads")
def downloads_fixture(tmp_path, hub, model):
    """An empty cache; the Hub has ``org/tiny``."""
    hub.add("org/tiny", model)
    return make_downloads(tmp_path, hub)

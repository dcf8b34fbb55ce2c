"""A Hub on loopback with the tiny model, and hosts with a fake engine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from support.downloads import make_downloads, write_model
from support.fake_vllm import make_fake_vllm
from support.foreground_host import Host
from support.hub_server import HubServer
from support.service import free_port


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


@pytest.fixture(name="make_host")
def make_host_fixture(tmp_path):
    """Make hosts that are not started yet, and end what is left of them."""
    hosts: list[Host] = []
    with tempfile.TemporaryDirectory(prefix="t-") as temporary:

        def make(*serve_args: str) -> Host:
            folder = tmp_path / f"host-{len(hosts)}"
            fake = make_fake_vllm(folder / "fake")
            host = Host(folder, free_port(), fake.program)
            host.fake = fake
            # A socket's path is short, and pytest's folders are deep.
            host.temporary = Path(temporary) / str(len(hosts))
            host.temporary.mkdir()
            if serve_args:
                host.select(*serve_args)
            hosts.append(host)
            return host

        yield make
        for host in hosts:
            for process in host.processes().values():
                process.kill()
            host.wait_none()
            if host.process is not None:
                host.process.wait()


@pytest.fixture(name="host")
def host_fixture(make_host):
    """A host with a model selected, not started yet."""
    return make_host("org/name")

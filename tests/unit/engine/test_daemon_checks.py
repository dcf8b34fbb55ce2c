"""What the daemon checks before it becomes the engine: port, model and program."""

from __future__ import annotations

import errno
import os
import socket
import sys

import pytest

from support.command_line import snapshot
from support.settings_factory import make_settings
from support.tools import require
from vllm_pkg.engine import daemon
from vllm_pkg.errors import (
    EngineNotInstalled,
    ModelFolderMissing,
    PortInUse,
    SettingsInvalid,
)
from vllm_pkg.models.local import LocalModel, is_complete


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Standalone settings over empty volumes."""
    return make_settings(tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_port_is_free_or_in_use(address):
    """A port can be had until somebody listens on it, over IPv4 and IPv6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError as error:
        require(None, f"{address} cannot be used here: {error}")
    port = server.getsockname()[1]
    with server, pytest.raises(PortInUse) as caught:
        daemon.check_port(address, port)

    assert caught.value.exit_code == 75
    assert caught.value.message == (
        f"port {port} on {address} is in use by another program"
    )
    daemon.check_port(address, port)


def test_port_of_a_server_for_all_addresses_is_in_use():
    """A server on every address has the port of each single one too."""
    with socket.create_server(("0.0.0.0", 0)) as server, pytest.raises(PortInUse):
        daemon.check_port("127.0.0.1", server.getsockname()[1])


def test_port_of_a_server_that_just_ended_is_free():
    """Connections that are still closing do not count; a plain bind would fail."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            # The side that closes first is the one whose port waits.
            server.accept()[0].close()
            assert client.recv(1) == b""
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", port))

    daemon.check_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("fe80::1%none", "Name or service not known"),
    ],
)
def test_address_of_another_machine_is_refused(address, reason):
    """An address that this machine does not have is a wrong setting."""
    with pytest.raises(SettingsInvalid) as caught:
        daemon.check_port(address, 8000)

    assert caught.value.exit_code == 78
    assert caught.value.message == f"cannot listen on {address} port 8000: {reason}"


def test_machine_without_ipv6_is_told(monkeypatch):
    """
    Where the kernel has no IPv6, that is said and nothing breaks.

    The kernel's answer is replaced, since this machine's kernel may have it.
    """

    def refuse(*_: object) -> socket.socket:
        number = errno.EAFNOSUPPORT
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", refuse)

    with pytest.raises(SettingsInvalid, match="Address family not supported"):
        daemon.check_port("::1", 8000)


@pytest.mark.parametrize("make", ["nothing", "file", "empty folder"])
def test_folder_without_a_model_is_refused(settings, tmp_path, make):
    """A missing folder, a file and a folder without config.json are no models."""
    model = tmp_path / "model"
    if make == "file":
        model.write_text("")
    elif make == "empty folder":
        model.mkdir()

    with pytest.raises(ModelFolderMissing) as caught:
        daemon.check_model(settings, (str(model), "--max-model-len", "8"))

    assert caught.value.message == f"{model} is not a folder with a model in it"


def test_repository_and_folder_with_a_model_pass(settings, tmp_path):
    """A repository is left to the engine; a folder needs its config.json."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    before = snapshot(tmp_path)

    daemon.check_model(settings, ("org/name",))
    daemon.check_model(settings, (str(model),))

    assert snapshot(tmp_path) == before
    (model / "config.json").unlink()
    with pytest.raises(ModelFolderMissing):
        daemon.check_model(settings, (str(model),))


def test_missing_local_model_is_made_again(settings):
    """A model of the package's own that was deleted is there again."""
    folder = settings.local_models_dir / "tiny"
    assert not is_complete(settings, LocalModel.TINY)

    daemon.check_model(settings, (str(folder),))

    assert is_complete(settings, LocalModel.TINY)


def _program(folder, name):
    folder.mkdir()
    path = folder / name
    path.write_text("")
    path.chmod(0o755)
    return path


def test_engine_beside_our_python_is_taken_first(tmp_path, monkeypatch):
    """The program beside our Python wins over the one on PATH, which is the next."""
    beside = _program(tmp_path / "beside", "vllm")
    on_path = _program(tmp_path / "path", "vllm")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    assert daemon.engine_program() == str(beside)
    beside.chmod(0o644)
    assert daemon.engine_program() == str(on_path)


def test_missing_engine_is_told(tmp_path, monkeypatch):
    """Without the program there is an error that says how to install it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EngineNotInstalled) as caught:
        daemon.engine_program()

    assert caught.value.exit_code == 78
    assert caught.value.hint == "install it: make setup"

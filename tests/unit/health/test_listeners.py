"""Whose port it is: over real sockets, and over tables that a test writes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from vllm_pkg.health.listeners import is_own_listener

# Listens on an address and port, and says when it does.
LISTENER = """\
import signal, socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], int(sys.argv[2])))
server.listen()
print(server.getsockname()[1], flush=True)
signal.pause()
"""


@pytest.fixture(name="start_stranger")
def start_stranger_fixture():
    """Start programs that listen, and end them."""
    started = []

    def start(address: str, port: int = 0) -> tuple[int, int]:
        argv = [sys.executable, "-IS", "-c", LISTENER, address, str(port)]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout is not None
        return child.pid, int(child.stdout.readline())

    yield start
    for child in started:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_our_own_port_is_ours(address):
    """A socket of this process is its own, on one address and on all of them."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]

        assert is_own_listener(os.getpid(), asked, port) is True


def test_a_port_of_a_child_is_ours(start_stranger):
    """Where an API server is a process of its own, it is the engine as well."""
    pid, port = start_stranger("127.0.0.1")

    assert is_own_listener(os.getpid(), "127.0.0.1", port) is True
    assert is_own_listener(pid, "127.0.0.1", port) is True


def test_a_stranger_on_the_port_that_we_have_only_bound(start_stranger):
    """What vLLM does while it loads: bound and not listening, so another one may."""
    engine = subprocess.Popen(["sleep", "60"])
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        start_stranger("127.0.0.1", port)

        assert is_own_listener(engine.pid, "127.0.0.1", port) is False
    engine.kill()
    engine.wait()


def test_a_stranger_on_the_very_address_is_the_one_who_answers(start_stranger):
    """A socket of one address gets its connections before one of all addresses."""
    engine, port = start_stranger("127.0.0.2")
    start_stranger("127.0.0.1", port)

    assert is_own_listener(engine, "127.0.0.2", port) is True
    assert is_own_listener(engine, "127.0.0.1", port) is False


def test_what_cannot_be_seen_is_not_claimed(tmp_path):
    """A port without a listener, a missing process and a damaged table say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    net = tmp_path / "7" / "net"
    net.mkdir(parents=True)
    (net / "tcp").write_text("head\n 0: 0100007F:0050\n")
    (tmp_path / "8" / "net").mkdir(parents=True)

    assert is_own_listener(os.getpid(), "127.0.0.1", port) is None
    assert is_own_listener(2**22 + 1, "127.0.0.1", port) is None
    assert is_own_listener(7, "127.0.0.1", 80, tmp_path) is None
    assert is_own_listener(8, "127.0.0.1", 80, tmp_path) is None


@pytest.mark.skipif(sys.byteorder == "big", reason="the table is a little-endian one")
@pytest.mark.parametrize(
    ("table", "line", "is_own"),
    [
        ("tcp", "0: 0100007F:1F40 00000000:0000 0A", True),
        ("tcp6", f"0: {'0' * 16}FFFF00000100007F:1F40 {'0' * 32}:0000 0A", True),
        ("tcp", "0: 0100007F:1F40 0100007F:9999 01", None),
        ("tcp", "0: 0100007F:1F41 00000000:0000 0A", None),
    ],
    ids=["IPv4", "IPv4 inside IPv6", "a connection", "another port"],
)
def test_the_kernels_table_is_read(tmp_path, table, line, is_own):
    """Only listening sockets of the port count, however the address is written."""
    net, descriptors = tmp_path / "7" / "net", tmp_path / "7" / "fd"
    net.mkdir(parents=True)
    descriptors.mkdir()
    (net / table).write_text(f"head\n {line} 0:0 0:0 0 0 0 4711 1 0 0\n")
    (descriptors / "3").symlink_to("socket:[4711]")
    (descriptors / "4").symlink_to("/dev/null")

    assert is_own_listener(7, "127.0.0.1", 8000, tmp_path) is is_own


def test_a_descriptor_that_was_just_closed_is_none(tmp_path, monkeypatch):
    """A name that is gone when it is read is no error."""
    net, descriptors = tmp_path / "7" / "net", tmp_path / "7" / "fd"
    net.mkdir(parents=True)
    descriptors.mkdir()
    (net / "tcp").write_text(
        "head\n 0: 0100007F:1F40 00000000:0000 0A 0:0 0:0 0 0 0 4711 1 0 0\n"
    )
    monkeypatch.setattr(os, "listdir", lambda _: ["5"])

    assert is_own_listener(7, "127.0.0.1", 8000, tmp_path) is False

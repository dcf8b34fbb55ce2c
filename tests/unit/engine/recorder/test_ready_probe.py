"""Asking for readiness, over real sockets, without waiting."""

from __future__ import annotations

import socket

import pytest

from vllm_pkg.engine.recorder.ready_probe import ReadyProbe

OK = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture(name="server")
def server_fixture():
    """A server that answers when the test does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


def answer(server, data):
    """Take the request that waits and answer it; return the request."""
    peer, _ = server.accept()
    with peer:
        request = peer.recv(1000)
        peer.sendall(data)
    return request


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_answer_of_200_is_ready(server, host):
    """It asks /health of this machine, and takes the answer at a later look."""
    probe = ReadyProbe(host, server.getsockname()[1])

    first = probe.look(0.0)
    request = answer(server, OK)
    second = probe.look(0.5)

    assert (first, second) == (False, True)
    assert request.startswith(b"GET /health HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 503 No\r\n\r\n", b"", b"nonsense, but long"]
)
def test_another_answer_is_not_ready_and_is_asked_again(server, data):
    """Unavailable, nothing and garbage end the request; the next look asks anew."""
    probe = ReadyProbe("127.0.0.1", server.getsockname()[1])
    probe.look(0.0)
    answer(server, data)

    second = probe.look(0.5)
    third = probe.look(1.0)
    answer(server, OK)

    assert (second, third) == (False, False)
    assert probe.look(1.5)


def test_a_server_that_never_answers_is_asked_anew(server):
    """After five seconds the request is given up, and another one is made."""
    probe = ReadyProbe("127.0.0.1", server.getsockname()[1])
    looks = [probe.look(now_s) for now_s in (0.0, 4.0, 6.0, 6.5)]
    answer(server, b"")
    answer(server, OK)

    assert looks == [False] * 4
    assert probe.look(7.0)


def test_a_closed_port_is_not_ready():
    """Nobody listens yet, over IPv4 and IPv6: that is no error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert not ReadyProbe("127.0.0.1", port).look(0.0)
    assert not ReadyProbe("::", port).look(0.0)


def test_a_machine_without_sockets_is_not_ready(server, monkeypatch):
    """An error of the system is no readiness, and ends nothing."""

    def refuse(*_):
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr("vllm_pkg.engine.recorder.ready_probe.socket.socket", refuse)

    assert not ReadyProbe("127.0.0.1", server.getsockname()[1]).look(0.0)

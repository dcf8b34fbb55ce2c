"""
Health over everything that a port can answer: success for a living engine's 200 alone.

T21, over real sockets. The engine's process is this test's own, and alive.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from support.fake_clock import FakeClock
from support.scripted_server import ScriptedServer, drip, flood, hold, send
from support.service import free_port
from support.settings_factory import make_settings
from vllm_pkg.health import http_client, probe
from vllm_pkg.health.probe import check_health
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity, started_ticks
from vllm_pkg.state.store import ModelSelection, update_store

pytestmark = pytest.mark.security

ALIVE = ProcessIdentity(os.getpid(), started_ticks(os.getpid()) or 0, "boot-1")
ENDED = replace(ALIVE, started_ticks=1)
OTHER_BOOT = replace(ALIVE, boot_id="boot-0")
TIMEOUT_S = 0.4
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"


def _status(text: bytes, headers: bytes = EMPTY):
    return send(b"HTTP/1.1 " + text + b"\r\n" + headers)


# Binds a port as vLLM does at its start, and listens only when it has loaded: never.
LOADING = """\
import signal, socket
bound = socket.socket()
bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
bound.bind(("127.0.0.1", 0))
print(bound.getsockname()[1], flush=True)
signal.pause()
"""


@contextmanager
def loading_engine():
    """Run a program that has bound its port; yield its identity and the port."""
    argv = [sys.executable, "-IS", "-c", LOADING]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            ticks = started_ticks(child.pid) or 0
            yield ProcessIdentity(child.pid, ticks, "boot-1"), port
        finally:
            child.kill()


# What the port answers, and what health says of it.
TABLE = [
    ("vLLM's own answer", send(OK + EMPTY), "success"),
    ("200 with a short body", send(OK + b"Content-Length: 2\r\n\r\n{}"), "success"),
    ("open, and nothing", hold(b""), "loading"),
    ("closed at once", send(b""), "loading"),
    ("garbage", send(b"\x00\x01\x02 nonsense\r\n\r\n"), "loading"),
    ("another protocol", send(b"SSH-2.0-OpenSSH_9.2\r\n"), "loading"),
    ("TLS", send(b"\x15\x03\x01\x00\x02\x02\x46"), "loading"),
    ("half a status line", hold(b"HTTP/1.1 20"), "loading"),
    ("a status line, no more", hold(OK), "loading"),
    ("headers that do not end", hold(OK + b"Content-Type: text"), "loading"),
    ("a status that is no number", send(b"HTTP/1.1 ok fine\r\n" + EMPTY), "loading"),
    ("a status of four digits", send(b"HTTP/1.1 2000 OK\r\n" + EMPTY), "loading"),
    ("slow-loris status", drip(b"", b"H"), "loading"),
    ("slow-loris headers", drip(OK, b"x: y\r\n"), "loading"),
    ("slow-loris body", drip(OK + b"Content-Length: 9999\r\n\r\n", b"x"), "loading"),
    ("endless body", flood(OK + b"\r\n", b"x" * 4096), "loading"),
    (
        "endless chunks",
        flood(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        "loading",
    ),
    ("endless headers", flood(OK, b"x: y\r\n"), "loading"),
    ("a line of megabytes", flood(OK + b"x: ", b"y" * 65_536), "loading"),
    ("100 Continue, for ever", flood(b"", b"HTTP/1.1 100 C\r\n\r\n"), "loading"),
    ("a body cut short", send(OK + b"Content-Length: 10\r\n\r\nabc"), "loading"),
    ("200, then it dies", hold(OK + b"Content-Length: 10\r\n\r\nabc"), "loading"),
    ("204", _status(b"204 No Content", b"\r\n"), "failure"),
    ("206", _status(b"206 Partial Content"), "failure"),
    (
        "a redirect",
        _status(b"302 Found", b"Location: http://127.0.0.1:1/\r\n" + EMPTY),
        "failure",
    ),
    ("401", _status(b"401 Unauthorized"), "failure"),
    ("404", _status(b"404 Not Found"), "failure"),
    ("500", _status(b"500 Internal Server Error"), "failure"),
    ("503", _status(b"503 Service Unavailable"), "failure"),
]


@pytest.fixture(name="settings")
def settings_fixture(tmp_path, monkeypatch):
    """A selected model, a running host, and a short time for the request."""
    monkeypatch.setattr(probe.ask_api, "__defaults__", (TIMEOUT_S,))
    settings = make_settings(tmp_path)
    update_store(settings, lambda s: s.with_model(("a/b",), (), ModelSelection("x")))
    host = records.HostRecord(ALIVE, "127.0.0.1", 1, "/s")
    records.write_record(settings.host_file, host)
    return settings


def _check(settings, port, process=ALIVE):
    start = records.StartRecord(process, 1000.0, "127.0.0.1", port, "x")
    records.write_record(settings.start_file, start)
    return check_health(settings, FakeClock())


def test_t21_only_a_real_200_is_success(settings, guarantee):
    """T21: of everything a port can answer, only a whole 200 is a success, in time."""
    wrong = []
    slow = []
    for name, script, expected in TABLE:
        with ScriptedServer(script) as server:
            began_s = time.monotonic()
            result = _check(settings, server.port).result
            if time.monotonic() - began_s > TIMEOUT_S + 1.0:
                slow.append(name)
        if result != expected:
            wrong.append((name, result))
    guarantee(
        "T21",
        "Health is success only for a whole 200 of our own living engine, in bounded"
        " time",
        tried=len(TABLE),
        violations=len(wrong) + len(slow),
        unit="kinds of answer",
        control="with a limit per read instead, the slow-loris is waited for",
    )

    assert len(TABLE) >= 20
    assert wrong == []
    assert slow == []


@pytest.mark.parametrize(
    ("process", "result"), [(ENDED, "failure"), (OTHER_BOOT, "starting")]
)
def test_a_200_of_a_stranger_is_no_success(settings, process, result):
    """What answers on the port of an engine that has ended is not the engine."""
    with ScriptedServer(send(OK + EMPTY)) as server:
        assert _check(settings, server.port, process).result == result


def test_t21_a_stranger_on_the_port_of_a_loading_engine(
    settings, monkeypatch, guarantee
):
    """T21: what another program answers on our port is never taken for readiness."""
    answers = (OK + EMPTY, b"HTTP/1.1 503 Service Unavailable\r\n" + EMPTY, b"\x00")
    with loading_engine() as (engine, port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        results = []
        for answer in answers:
            with ScriptedServer(send(answer), listener.dup()):
                results.append(_check(settings, port, engine).result)
        with ScriptedServer(send(OK + EMPTY), listener):
            owned = _check(settings, port, ALIVE).result
            monkeypatch.setattr(probe, "is_own_listener", lambda *_: None)
            fooled = _check(settings, port, engine).result
    wrong = [result for result in results if result != "loading"]
    guarantee(
        "T21",
        "While our engine loads, a stranger that answers on its port is never success",
        tried=len(results),
        violations=len(wrong),
        unit="answers of a stranger",
        control="without the look at whose port it is, its 200 is taken for success",
    )

    assert wrong == []
    assert owned == "success"
    assert fooled == "success"


def test_an_engine_that_ends_while_it_answers_is_no_success(settings, monkeypatch):
    """The process is looked at again after the answer: it may have ended since."""
    with ScriptedServer(send(OK + EMPTY)) as server:
        # Asked for the engine, for the engine again, and for the host.
        answers = [True, False, True]
        monkeypatch.setattr(probe, "is_alive", lambda *_: answers.pop(0))
        result = _check(settings, server.port).result

    assert result == "failure"


def test_a_closed_port_is_loading(settings):
    """Nothing listens: the model is loading."""
    assert _check(settings, free_port()).result == "loading"


def test_a_limit_per_read_would_not_end(monkeypatch):
    """The control: without the common deadline, a slow-loris is waited for longer."""
    monkeypatch.setattr(
        http_client._BoundedSocket,
        "recv_into",
        socket.socket.recv_into,
    )
    piece = iter([b"x: y\r\n"] * 60)

    def slow(peer, ended):
        peer.sendall(OK)
        for data in piece:
            if ended.wait(0.02):
                return
            peer.sendall(data)
        peer.sendall(EMPTY)

    with ScriptedServer(slow) as server:
        began_s = time.monotonic()
        probe.ask_api("127.0.0.1", server.port, timeout_s=0.2)
        waited_s = time.monotonic() - began_s

    assert waited_s > 1.0

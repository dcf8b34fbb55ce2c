"""What strangers can make the portal keep: neither memory nor connections for ever."""

from __future__ import annotations

import contextlib
import itertools
import socket
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from support.portal_fixture import portal_fixture
from support.portal_server import PortalServer
from support.waiting import wait_until
from vllm_pkg.portal.access.attempts import LIMIT
from vllm_pkg.portal.connections import ARRIVAL_S, OVERHEAD_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["portal_fixture"]

pytestmark = [pytest.mark.security, pytest.mark.timeout(180)]

MEBIBYTE = 1024 * 1024
PIECE = b"a" * 65_536
# What one connection may make the process grow by, with room for what else goes on.
GROWTH_MAX_BYTES = 40 * MEBIBYTE
ENDLESS_BYTES = 100 * MEBIBYTE


def _head(portal, method="GET", target="/login", *more):
    lines = (f"{method} {target} HTTP/1.1", f"Host: {portal.host}", *more)
    return "".join(f"{line}\r\n" for line in lines).encode()


def _form(portal, length):
    kind = "Content-Type: application/x-www-form-urlencoded"
    own = f"Origin: {portal.origin}"
    return _head(portal, "POST", "/login", own, kind, length) + b"\r\n"


def _endless(portal) -> dict[str, tuple[bytes, Iterator[bytes]]]:
    """Return beginnings of requests, and what follows without an end."""
    many = (b"X-%d: %s\r\n" % (number, PIECE) for number in itertools.count())
    chunked = _form(portal, "Transfer-Encoding: chunked")
    return {
        "an address": (b"GET /", itertools.repeat(PIECE)),
        "a name": (_head(portal), itertools.repeat(PIECE)),
        "a value": (_head(portal) + b"X: ", itertools.repeat(PIECE)),
        "headers": (_head(portal), many),
        "a trailer": (chunked + b"0\r\nX: ", itertools.repeat(PIECE)),
        "chunks of a byte": (chunked, itertools.repeat(b"1\r\na\r\n" * 10_000)),
    }


def _send_endlessly(portal, beginning, pieces) -> int:
    """Return how much was taken before the connection was cut, in bytes."""
    sent_bytes = 0
    with socket.create_connection(("127.0.0.1", portal.port), 20) as connection:
        try:
            connection.sendall(beginning)
            for piece in pieces:
                connection.sendall(piece)
                sent_bytes += len(piece)
                if sent_bytes > ENDLESS_BYTES:
                    break
        except ConnectionError:
            pass
    return sent_bytes


def test_endless_heads_are_cut_off(portal):
    """Whatever part of a head has no end, it is cut off and takes no memory."""
    process = psutil.Process(portal.process.pid)
    before_bytes = process.memory_info().rss
    taken = {
        what: _send_endlessly(portal, beginning, pieces)
        for what, (beginning, pieces) in _endless(portal).items()
    }
    grown_bytes = process.memory_info().rss - before_bytes

    assert {what: size for what, size in taken.items() if size > ENDLESS_BYTES} == {}
    assert grown_bytes < GROWTH_MAX_BYTES
    assert OVERHEAD_MAX_BYTES < GROWTH_MAX_BYTES < ENDLESS_BYTES
    assert portal.ask("GET", "/login").status == 200


def test_a_head_that_is_too_large_is_told_so(portal):
    """Just over the limit it is 431, just below it is an answer as any other."""
    small, large = (
        portal.ask("GET", "/login", [("X", "a" * size)]).status
        for size in (OVERHEAD_MAX_BYTES // 2, OVERHEAD_MAX_BYTES + MEBIBYTE)
    )

    # The rest of what is sent may meet a connection that is closed already.
    assert (small, large in {431, 0}) == (200, True)


def test_slow_connections_are_cut_off(portal):
    """Half a head, half a form and half of what is refused are not waited for."""
    refused = _head(portal, "POST", "/api/v1/status", "Content-Length: 99")
    beginnings = {
        "nothing": b"",
        "half a first line": b"GET /log",
        "half a head": _head(portal),
        "half a form": _form(portal, "Content-Length: 99") + b"token=",
        "half a body": refused + b"\r\n{",
        "half a second head": _head(portal) + b"\r\n" + _head(portal),
    }
    stream = _head(portal, "GET", "/api/v1/events", f"Cookie: {portal.session}")
    with contextlib.ExitStack() as stack:

        def begin(data):
            connection = socket.create_connection(("127.0.0.1", portal.port))
            stack.enter_context(connection)
            connection.sendall(data)
            connection.settimeout(0)
            return connection

        reading = begin(stream + b"\r\n")
        slow = {what: begin(beginning) for what, beginning in beginnings.items()}
        for what, connection in slow.items():
            wait_until(partial(_is_cut, connection), 3 * ARRIVAL_S, what)
        # The positive control: what is let in goes on for as long as it likes.
        assert not _is_cut(reading)


def _is_cut(connection) -> bool:
    """Whether the other side has closed, once all that it said is read."""
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def _wrong(portal, forwarded, source):
    headers = [("Authorization", "Bearer wrong"), ("X-Forwarded-For", forwarded)]
    hosts = [portal.host]
    return portal.ask("GET", "/x", headers, hosts=hosts, source=source).status


def test_t29_nobody_is_another_source_by_saying_so(tmp_path):
    """T29: X-Forwarded-For is believed of a named proxy only, and its last part."""
    guesses = LIMIT + 2
    # Uvicorn would take it for whom to believe.
    loose = {"FORWARDED_ALLOW_IPS": "*"}
    with PortalServer(tmp_path / "without", loose) as portal:
        without = [_wrong(portal, f"10.0.0.{n}", "127.0.0.1") for n in range(guesses)]
    named = {**loose, "VLLM_PKG_PORTAL_ALLOWED_HOSTS": "portal.example.org"}
    with PortalServer(tmp_path / "named", named) as portal:
        of_strangers = [
            _wrong(portal, f"10.0.0.{n}", "127.9.9.9") for n in range(guesses)
        ]
        of_the_proxy = [
            _wrong(portal, f"10.1.0.{n}", "127.0.0.1") for n in range(guesses)
        ]
        made_up = [
            _wrong(portal, f"10.2.0.{n}, 10.3.0.1", "127.0.0.1") for n in range(guesses)
        ]

    assert without == of_strangers == made_up == [401] * LIMIT + [429] * 2
    # The positive control: the proxy's own word makes sources of its visitors.
    assert of_the_proxy == [401] * guesses

"""The real portal as a program of its own, spoken to in raw HTTP."""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from support.portal_process import PortalProcess
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

Header = tuple[str, str]
# Every address of 127.0.0.0/8 is this machine, and a source of its own.
_SOURCES = (f"127.{a}.{b}.9" for a, b in itertools.product(range(1, 250), repeat=2))
_UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", base64.b64encode(b"0" * 16).decode()),
)


@dataclass(frozen=True)
class Answered:
    """
    One answer.

    Args:
        status: HTTP status.
        headers: Names in lower case; every one of them.
        body: What came, where it was asked for.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for given, value in self.headers if given == name]

    @property
    def is_refusal(self) -> bool:
        """Whether it is what somebody gets who is not let in."""
        is_led = self.status == 303 and self.values("location") == ["/login"]
        return self.status == 401 or is_led

    @property
    def cookie(self) -> str:
        """What a browser would send back of the first cookie that was set, if any."""
        return next(iter(self.values("set-cookie")), "").partition(";")[0]


class PortalServer(PortalProcess):
    """A portal that is spoken to in raw HTTP."""

    @property
    def host(self) -> str:
        """What a browser sends as Host."""
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        """What a browser sends as Origin."""
        return f"http://{self.host}"

    @property
    def log(self) -> str:
        """What it has printed."""
        return self.output.read_text(errors="replace")

    @cached_property
    def session(self) -> str:
        """A session, as a browser sends it; a new token counts within a moment."""
        return wait_until(
            lambda: self.ask("GET", self.login_path).cookie,
            *(5, "the token counts"),
        )

    def ask(
        self,
        method: str,
        target: str,
        headers: Iterable[Header] = (),
        body: bytes = b"",
        *,
        hosts: Iterable[str] | None = None,
        source: str | None = None,
        has_body: bool = False,
    ) -> Answered:
        """
        Send one request as it stands and return the answer.

        Args:
            method: Of the request.
            target: What stands in its first line.
            headers: Besides Host, in their order.
            body: Sent with its length, if there is any.
            hosts: Every header Host; None: the one that a browser sends.
            source: Address that it comes from; None: one that nobody had before.
            has_body: Whether to wait for the body of the answer.
        """
        given = [("Host", host) for host in ([self.host] if hosts is None else hosts)]
        given += headers
        if body:
            given.append(("Content-Length", str(len(body))))
        if not any(name == "Connection" for name, _ in given):
            given.append(("Connection", "close"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in given)
        data = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
        return self.send(data, source=source, has_body=has_body)

    def send(
        self, data: bytes, *, source: str | None = None, has_body: bool = False
    ) -> Answered:
        """Send bytes and return the answer; a closed connection is status 0."""
        bound = (source or next(_SOURCES), 0)
        address = ("127.0.0.1", self.port)
        with socket.create_connection(address, 20, source_address=bound) as connection:
            received = b""
            try:
                connection.sendall(data)
                while has_body or b"\r\n\r\n" not in received:
                    chunk = connection.recv(65536)
                    if not chunk:
                        break
                    received += chunk
            except ConnectionError:
                pass
        return _parse(received)

    def handshake(
        self,
        target: str,
        headers: Iterable[Header] = (),
        hosts: Iterable[str] | None = None,
    ) -> Answered:
        """Begin a websocket; 101 means that it was accepted."""
        return self.ask("GET", target, (*_UPGRADE, *headers), hosts=hosts)

    def bearer(self) -> Header:
        """Return the header with the token."""
        return ("Authorization", f"Bearer {self.token}")

    def routes(self) -> list[dict[str, Any]]:
        """Return every route of the application, as `support.portal_routes` has it."""
        done = subprocess.run(
            [sys.executable, "-m", "support.portal_routes"],
            env=self.environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )
        return list(json.loads(done.stdout))


def _parse(received: bytes) -> Answered:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first:
        return Answered(0, ())
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    return Answered(int(first.split()[1]), headers, body)

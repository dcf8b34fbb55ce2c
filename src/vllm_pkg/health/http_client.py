"""One HTTP request that ends in bounded time, whoever answers."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True)
class Reply:
    """
    What was answered, whole.

    Args:
        status: HTTP status.
        body: As it came.
        headers: By their names in lower case; of equal names the last.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]


class _BoundedSocket(socket.socket):
    """
    A socket whose reads together end at one instant.

    A timeout per read is none: a peer that sends a byte now and then never meets it.
    """

    deadline_s = 0.0

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Read what comes before the deadline."""
        left_s = self.deadline_s - BootClock().now_s()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        self.settimeout(left_s)
        return super().recv_into(buffer, nbytes, flags)


def asked_address(host: str) -> str:
    """Return where a program is asked that was told to listen on *host*."""
    return _WILDCARDS.get(host, host)


def fetch(
    host: str,
    port: int,
    path: str,
    *,
    timeout_s: float,
    size_max_bytes: int,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply | None:
    """
    Send one request to a program on this machine: a GET, or with a body a POST.

    Args:
        host: IP address it was told to listen on; "all addresses" is asked on loopback.
        port: Its TCP port.
        path: Path and query.
        timeout_s: For all of it together, > 0.
        size_max_bytes: Longest body that is an answer.
        headers: More than HTTP needs, such as a key.
        body: What is sent; None: nothing.
    Returns:
        The answer; None when there was none, or none that is HTTP, or it did not end.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = _BoundedSocket(family, socket.SOCK_STREAM)
    connection = http.client.HTTPConnection(asked_address(host), port)
    try:
        sock.deadline_s = BootClock().now_s() + timeout_s
        sock.settimeout(timeout_s)
        sock.connect((connection.host, port))
        connection.sock = sock
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        answer = response.read(size_max_bytes + 1)
        is_whole = len(answer) <= size_max_bytes and not response.length
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
        sock.close()
    if not is_whole:
        return None
    names = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, answer, names)

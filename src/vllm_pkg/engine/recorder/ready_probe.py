"""Asking the engine whether it is ready, without ever waiting long for an answer."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Final

ANSWER_WAIT_S: Final = 0.05
_PATIENCE_S: Final = 5.0
_OK: Final = (b"HTTP/1.0 200 ", b"HTTP/1.1 200 ")
_ALL_ADDRESSES: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class ReadyProbe:
    """
    Asks ``/health``; one request goes over several looks if its answer takes long.

    Args:
        host: Address the engine was told to listen on.
        port: Its TCP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (_ALL_ADDRESSES.get(host, host), port)
        self._socket: socket.socket | None = None
        self._asked_s = 0.0

    def look(self, now_s: float) -> bool:
        """
        Ask, or see whether the answer has come.

        Args:
            now_s: Seconds since boot.
        Returns:
            Whether the engine has answered that it is ready.
        """
        try:
            if self._socket is None:
                self._ask(now_s)
            return self._socket is not None and self._has_answered(self._socket, now_s)
        except OSError:
            self.close()
            return False

    def close(self) -> None:
        """End a request that is under way."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, now_s: float) -> None:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._asked_s = now_s
        # Refused or under way: sending fails, or it does not.
        self._socket.connect_ex(self._address)
        _wait(self._socket, select.POLLOUT)
        request = (
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        self._socket.sendall(request)

    def _has_answered(self, connection: socket.socket, now_s: float) -> bool:
        answer = b""
        _wait(connection, select.POLLIN)
        with contextlib.suppress(BlockingIOError):
            answer = connection.recv(len(_OK[0]))
            self.close()
        if now_s - self._asked_s > _PATIENCE_S:
            self.close()
        return answer in _OK


def _wait(connection: socket.socket, event: int) -> None:
    poll = select.poll()
    poll.register(connection, event)
    poll.poll(int(ANSWER_WAIT_S * 1000))

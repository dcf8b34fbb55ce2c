"""
A server that answers each connection as a script says, byte for byte.

A real engine cannot be made to answer half a line, or to never end.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    Script = Callable[[socket.socket, threading.Event], None]


class ScriptedServer:
    """
    Listens on a port of its own and runs the script for each connection.

    Args:
        script: Given the connection, after the request was read, and an event that is
            set when the server ends.
        listener: A socket that listens already; None: one of its own.
    """

    def __init__(self, script: Script, listener: socket.socket | None = None) -> None:
        self._script = script
        self._ended = threading.Event()
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, whatever a script is doing."""
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                peer, _ = self._listener.accept()
                peer.settimeout(1)
                # A peer that goes away in the middle is what many scripts are about.
                with peer, contextlib.suppress(OSError):
                    peer.recv(65_536)
                    self._script(peer, self._ended)


def send(data: bytes) -> Script:
    """Return a script that sends *data* and closes."""
    return lambda peer, _: peer.sendall(data)


def drip(start: bytes, piece: bytes) -> Script:
    """Return a script that sends *start*, and then a piece now and then, for ever."""

    def script(peer: socket.socket, ended: threading.Event) -> None:
        peer.sendall(start)
        while not ended.wait(0.02):
            peer.sendall(piece)

    return script


def flood(start: bytes, piece: bytes) -> Script:
    """Return a script that sends *start*, and then pieces as fast as it can."""

    def script(peer: socket.socket, ended: threading.Event) -> None:
        peer.sendall(start)
        while not ended.is_set():
            peer.sendall(piece)

    return script


def hold(start: bytes) -> Script:
    """Return a script that sends *start*, and then nothing."""

    def script(peer: socket.socket, ended: threading.Event) -> None:
        peer.sendall(start)
        ended.wait(10)

    return script

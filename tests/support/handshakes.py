"""Handshakes of websockets that carry a key, and what uvicorn logs of them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.service import free_port
from support.waiting import wait_until

_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def shake(port: int, path: str, key: str) -> int:
    """Ask for a websocket with a key; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {**_UPGRADE, "Authorization": f"Bearer {key}"}
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            return answer.status


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    """Be an application that refuses every websocket."""
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})


def logged_by_uvicorn(level: str, key: str) -> bytes:
    """Return what uvicorn writes about one refused handshake with a key."""
    port = free_port()
    program = (sys.executable, "-m", "uvicorn", f"{__name__}:refusing")
    options = ("--log-level", level, "--port", str(port), "--lifespan", "off")
    with subprocess.Popen(
        [*program, *options, "--app-dir", str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            wait_until(lambda: _listens(port), 30, "uvicorn")
            assert shake(port, "/", key) == http.HTTPStatus.FORBIDDEN
        finally:
            process.terminate()
        return process.communicate()[0]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

"""
A program in a network namespace of its own, where nothing but loopback exists.

Run it as ``unshare --net python -m support.without_network PORT PROGRAM ARGUMENT...``.
It brings the loopback device up, leaves a child behind that waits for ``/health`` on
that port, and becomes the program. Nobody outside can ask the port; so the child, with
the key of the variable `KEY_ENV`, prints `READY` when it answers 200, and then what the
model says to `PROMPT`.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import struct
import sys
import time

READY = "answers without a network"
SAYS = "says without a network: "
PROMPT = "the sun"
KEY_ENV = "ASK_WITH_KEY"
_TIMEOUT_S = 300.0
_POLL_S = 0.02
# Of linux/sockios.h and linux/if.h.
_SET_FLAGS, _UP = 0x8914, 0x1
_LOOPBACK = b"lo"


def bring_loopback_up() -> None:
    """Switch the loopback device on; a new namespace has it switched off."""
    request = struct.pack("16sH14s", _LOOPBACK, _UP, b"")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, request)


def has_routes() -> bool:
    """Whether any route leads out of this namespace."""
    with open("/proc/net/route", encoding="ascii") as routes:  # noqa: PTH123
        return len(routes.readlines()) > 1


def watch(port: int) -> None:
    """Wait until the API answers, and print that and what the model says."""
    key = os.environ[KEY_ENV]
    until_s = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < until_s:
        try:
            if _ask(port, "GET", "/health", key)[0] == http.HTTPStatus.OK:
                break
        except OSError:
            time.sleep(_POLL_S)
    print(READY, flush=True)
    models = json.loads(_ask(port, "GET", "/v1/models", key)[1])
    body = {"model": models["data"][0]["id"], "prompt": PROMPT, "temperature": 0}
    answer = json.loads(_ask(port, "POST", "/v1/completions", key, body)[1])
    print(SAYS + json.dumps(answer["choices"][0]["text"]), flush=True)


def _ask(
    port: int, method: str, path: str, key: str, body: object = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def main() -> None:
    """Do it all."""
    port, *program = sys.argv[1:]
    bring_loopback_up()
    if has_routes():
        sys.exit("this namespace has a way out")
    if os.fork() == 0:
        watch(int(port))
        os._exit(0)
    os.execvp(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main()

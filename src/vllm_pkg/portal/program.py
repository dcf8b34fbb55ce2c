"""
The program ``python -m vllm_pkg.portal``: serves the portal until a signal.

Its libraries take a second to import, so the import waits for what can be told before.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.prctl import end_with_parent
from vllm_pkg.errors import PortInUse, ServiceError
from vllm_pkg.hosts.portal import open_port
from vllm_pkg.settings import load_settings
from vllm_pkg.state.portal_token import ensure_portal_token

if TYPE_CHECKING:
    import socket

    from vllm_pkg.settings import Settings

# supervisord sets it for what it starts.
SUPERVISED_ENV: Final = "SUPERVISOR_ENABLED"
RETRY_S: Final = 2.0
# A proxy is on the same machine.
PROXIES: Final = ("127.0.0.1", "::1")
# Streams of events end only when they are told to.
GRACE_S: Final = 2


def main() -> None:
    """Serve until SIGINT or SIGTERM; end with the exit code of an error."""
    is_supervised = SUPERVISED_ENV in os.environ
    if is_supervised and not end_with_parent():
        # supervisord was killed: whoever follows it starts a portal of his own.
        return
    try:
        settings = load_settings(os.environ)
        ensure_portal_token(settings)
        listening = wait_for_port(settings) if is_supervised else open_port(settings)
        with listening:
            serve(settings, listening)
    except ServiceError as error:
        print(  # noqa: T201
            f"error: {error.message}; {error.hint}", file=sys.stderr, flush=True
        )
        sys.exit(error.exit_code)


def wait_for_port(settings: Settings) -> socket.socket:
    """
    Return a socket that has the portal's address, once no other program has it.

    Raises:
        SettingsInvalid: this machine has no such address, or it may not be used.
    """
    is_told = False
    while True:
        try:
            return open_port(settings)
        except PortInUse as error:
            if not is_told:
                print(  # noqa: T201
                    f"{error.message}; waiting for it: {error.hint}", flush=True
                )
            is_told = True
            time.sleep(RETRY_S)


def serve(settings: Settings, listening: socket.socket) -> None:
    """
    Serve the portal of these settings.

    Args:
        settings: Settings in force.
        listening: Has its address.
    """
    import uvicorn  # noqa: PLC0415

    from vllm_pkg.portal.application import create_application  # noqa: PLC0415
    from vllm_pkg.portal.connections import BoundedConnection  # noqa: PLC0415
    from vllm_pkg.portal.context import Portal  # noqa: PLC0415
    from vllm_pkg.portal.feed import StateFeed  # noqa: PLC0415

    config = uvicorn.Config(
        create_application(Portal(settings, StateFeed(settings))),
        http=BoundedConnection,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE_S,
        # Who is believed about where a request comes from is a proxy that a person has
        # named; anybody else could be every source he likes.
        proxy_headers=bool(settings.portal_allowed_hosts),
        # Said here, as a variable of the environment would say it otherwise.
        forwarded_allow_ips=[*PROXIES],
    )
    for name in ("uvicorn.error", "nicegui"):
        logging.getLogger(name).addFilter(_is_worth_telling)
    # What the program consists of stays as long as it runs: to look through it for
    # what is not needed any more took a tenth of a second, now and then, of a page.
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run(sockets=[listening])


def _is_worth_telling(record: logging.LogRecord) -> bool:
    # uvicorn 0.54 takes it for an error that a websocket is refused with an answer, and
    # NiceGUI 3.18 repeats whole addresses, in which the token may stand.
    message = record.getMessage()
    return not message.endswith(("without completing handshake.", " not found"))

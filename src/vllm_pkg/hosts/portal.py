"""What hosts and commands know of the portal, without its libraries."""

from __future__ import annotations

import errno
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import PortInUse, SettingsInvalid

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

MODULE: Final = "vllm_pkg.portal"
CONNECT_TIMEOUT_S: Final = 1.0
LIBRARIES: Final = ("babel", "fastapi", "itsdangerous", "nicegui", "segno", "uvicorn")


def missing_libraries() -> tuple[str, ...]:
    """Return which of the portal's libraries are not installed."""
    return tuple(name for name in LIBRARIES if find_spec(name) is None)


def open_port(settings: Settings) -> socket.socket:
    """
    Return a socket that has the portal's address, and does not listen yet.

    Raises:
        PortInUse: another program has it.
        SettingsInvalid: this machine has no such address, or it may not be used.
    """
    host, port = settings.portal_host, settings.portal_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        # As servers do: connections of a closed server must not count as in use.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        # Two that are bound and do not listen would both seem to have it.
        opened.listen()
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"the portal's port {port} on {host} is in use by another program",
                hint="stop that program, or set VLLM_PKG_PORTAL_PORT",
            ) from error
        raise SettingsInvalid(
            f"the portal cannot listen on {host} port {port}: {error.strerror}",
            hint="set VLLM_PKG_PORTAL_HOST or VLLM_PKG_PORTAL_PORT",
        ) from error
    return opened


def check_portal_port(settings: Settings) -> None:
    """
    Check that the portal's port can be had.

    Raises:
        PortInUse: another program has it.
        SettingsInvalid: this machine has no such address, or it may not be used.
    """
    open_port(settings).close()


def is_listening(settings: Settings) -> bool:
    """Return whether a browser that goes to the portal is let in now."""
    address = (_reachable_host(settings), settings.portal_port)
    try:
        socket.create_connection(address, CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def login_link(settings: Settings, token: str) -> str:
    """
    Return the link that logs a person in.

    Args:
        settings: Where the portal is.
        token: Of the portal.
    """
    host = _reachable_host(settings)
    place = f"[{host}]" if ":" in host else host
    return f"http://{place}:{settings.portal_port}/login?token={token}"


def _reachable_host(settings: Settings) -> str:
    host = settings.portal_host
    # "Every address" is none that a browser could go to.
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104

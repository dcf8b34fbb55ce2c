"""
Under which names the portal answers: the protection against DNS rebinding. Pure.

A page of a stranger can make its own name lead to this machine, but it cannot make a
browser send another name than its own in the header Host.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_HTTP_PORT: Final = 80
_STANDARD_PORTS: Final = (_HTTP_PORT, 443)


def own_names(addresses: Iterable[str], port: int) -> frozenset[str]:
    """
    Return every value of the header Host that names the portal itself.

    Args:
        addresses: IP addresses that it listens on; one for "every address" says none.
        port: Its own port.
    """
    names = [*_LOOPBACK]
    for text in addresses:
        address = ipaddress.ip_address(text)
        # A connection over IPv4 to a socket for both is told in this form.
        address = getattr(address, "ipv4_mapped", None) or address
        if not address.is_unspecified:
            names.append(f"[{address}]" if address.version == 6 else str(address))  # noqa: PLR2004  # IPv6
    own = {f"{name}:{port}" for name in names}
    # Browsers leave the port out where it is the scheme's own.
    return frozenset({*own, *names} if port == _HTTP_PORT else own)


def proxy_names(allowed: Iterable[str]) -> frozenset[str]:
    """
    Return every value of the header Host under which a proxy offers the portal.

    Args:
        allowed: Names from the settings; one without a port has the standard ones.
    """
    names: set[str] = set()
    for name in allowed:
        names.add(name)
        if not _has_port(name):
            names |= {f"{name}:{port}" for port in _STANDARD_PORTS}
    return frozenset(names)


def own_host(hosts: Iterable[str], names: frozenset[str]) -> str | None:
    """
    Return the one host of a request, if it is one of ours.

    Args:
        hosts: Every header Host of the request: none and two are no host.
        names: What is accepted, in lower case.
    """
    given = tuple(hosts)
    if len(given) != 1:
        return None
    # Names know no case; what else may look alike is not the same name.
    host = given[0].lower()
    return host if host in names else None


def _has_port(name: str) -> bool:
    return ":" in name.rpartition("]")[2]

"""
Whose port it is: whether what listens there is the engine and nobody else.

vLLM binds its port when it starts and listens when it has loaded, which may be half an
hour later. Until then Linux lets another program bind the same port and listen.
Source: socket(7), SO_REUSEADDR; proc(5), /proc/PID/net/tcp and /proc/PID/fd.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import sys
from typing import TYPE_CHECKING, Final

from vllm_pkg.state.identity import PROC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    _Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTENING: Final = "0A"
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")
_WORD_BYTES: Final = 4


def is_own_listener(
    pid: int, address: str, port: int, proc: Path = PROC
) -> bool | None:
    """
    Whether all that listens on an address belongs to one process and its children.

    Args:
        pid: The engine's process.
        address: IP address that was asked.
        port: Its TCP port.
        proc: Where the kernel tells of processes.
    Returns:
        None where that cannot be found out: another user's process, or none that
        listens there as far as can be seen.
    """
    try:
        listeners = _listeners(proc / str(pid) / "net", port)
        wanted = ipaddress.ip_address(address)
        # A socket of the very address gets the connection, not one of all addresses.
        exact = {inode for found, inode in listeners if found == wanted}
        every = {inode for found, inode in listeners if found.is_unspecified}
        others = exact or every
        if not others:
            return None
        for process in _family(proc, pid):
            others -= _sockets(process / "fd")
    except (OSError, ValueError, IndexError):
        return None
    return not others


def _family(proc: Path, pid: int) -> Iterator[Path]:
    yield proc / str(pid)
    for children in (proc / str(pid) / "task").glob("*/children"):
        for child in children.read_text(encoding="ascii").split():
            yield from _family(proc, int(child))


def _listeners(folder: Path, port: int) -> list[tuple[_Address, str]]:
    found = []
    for name in ("tcp", "tcp6"):
        # A kernel without IPv6 has no such table.
        with contextlib.suppress(FileNotFoundError), (folder / name).open() as table:
            next(table, None)
            for line in table:
                fields = line.split()
                # They come first. After them stands every connection there is.
                if fields[3] != _LISTENING:
                    break
                address, _, number = fields[1].partition(":")
                if int(number, 16) == port:
                    found.append((_address(address), fields[9]))
    return found


def _address(text: str) -> _Address:
    # Words of four bytes each, in the machine's own order.
    data = bytes.fromhex(text)
    words = [data[at : at + _WORD_BYTES] for at in range(0, len(data), _WORD_BYTES)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    address = ipaddress.ip_address(b"".join(words))
    return getattr(address, "ipv4_mapped", None) or address


def _sockets(folder: Path) -> set[str]:
    found = set()
    for name in os.listdir(folder):  # noqa: PTH208  # names are all that is needed
        # One that was closed since is none.
        with contextlib.suppress(FileNotFoundError):
            match = _SOCKET.fullmatch(os.readlink(folder / name))  # noqa: PTH115
            if match:
                found.add(match[1])
    return found

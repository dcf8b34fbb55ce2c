"""Sending a file's content in answer to a request, with what may go wrong."""

from __future__ import annotations

import re
import select
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from support.hub_faults import Trouble

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from io import BufferedIOBase

    from support.hub_faults import Fault
    from support.hub_repository import HubFile

PIECE_BYTES = 65_536
PIECES_PER_S = 50
LOOK_S = 0.005


class Peer(Protocol):
    """What of a request handler is needed."""

    connection: socket.socket
    wfile: BufferedIOBase
    close_connection: bool

    def note(self, status: int) -> None:
        """Remember the request."""

    def send_response(self, code: int) -> None:
        """Begin the answer."""

    def send_header(self, keyword: str, value: str) -> None:
        """Add a header."""

    def end_headers(self) -> None:
        """End the headers."""


@dataclass(frozen=True)
class Sending:
    """
    What to send.

    Args:
        file: The file.
        asked: The request's Range header.
        headers: More headers of the answer.
        fault: What goes wrong.
        is_head: Whether only the headers are asked for.
        ended: Set when the server ends.
    """

    file: HubFile
    asked: str | None
    headers: dict[str, str]
    fault: Fault | None
    is_head: bool
    ended: threading.Event


def send_content(peer: Peer, sending: Sending, count: Callable[[int], None]) -> None:
    """Answer a request for a file's content; *count* is told what went out."""
    size = sending.file.size_bytes
    if sending.fault and sending.fault.trouble is Trouble.SHORT:
        size = max(0, size - sending.fault.after_bytes)
    start, end = _range(sending.asked, size)
    if start > end and sending.asked:
        peer.note(416)
        peer.send_response(416)
        peer.send_header("Content-Range", f"bytes */{size}")
        peer.send_header("Content-Length", "0")
        peer.end_headers()
        return
    code = 206 if sending.asked else 200
    peer.note(code)
    peer.send_response(code)
    for name, value in sending.headers.items():
        peer.send_header(name, value)
    if sending.asked:
        peer.send_header("Content-Range", f"bytes {start}-{end}/{size}")
    peer.send_header("Accept-Ranges", "bytes")
    peer.send_header("Content-Length", str(end - start + 1))
    peer.end_headers()
    if not sending.is_head:
        _send_body(peer, sending, start, end, count)


def _range(asked: str | None, size: int) -> tuple[int, int]:
    """Return the first and the last byte to send."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if not match:
        return 0, size - 1
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(size - 1, int(last)) if last else size - 1


def _send_body(
    peer: Peer, sending: Sending, start: int, end: int, count: Callable[[int], None]
) -> None:
    fault, sent = sending.fault, 0
    trouble = fault.trouble if fault else None
    piece_bytes = PIECE_BYTES
    if fault and trouble in {Trouble.SLOW, Trouble.HELD}:
        piece_bytes = max(1, fault.bytes_per_s // PIECES_PER_S)
    with sending.file.path.open("rb") as stream:
        stream.seek(start)
        while sent <= end - start and not sending.ended.is_set():
            wanted = min(piece_bytes, end - start + 1 - sent)
            if fault and trouble in {Trouble.STALL, Trouble.RESET, Trouble.HELD}:
                wanted = min(wanted, fault.after_bytes - sent)
                if wanted <= 0:
                    _break_off(peer, sending, trouble)
                    return
            if trouble is Trouble.HELD and not _wait_room(
                peer, sending, start + sent + wanted
            ):
                return
            piece = stream.read(wanted)
            if trouble is Trouble.CORRUPT:
                piece = bytes(byte ^ 0xFF for byte in piece)
            peer.wfile.write(piece)
            count(len(piece))
            sent += len(piece)
            if trouble in {Trouble.SLOW, Trouble.HELD}:
                sending.ended.wait(1 / PIECES_PER_S)


def _wait_room(peer: Peer, sending: Sending, end: int) -> bool:
    """Wait until sending up to *end* is near enough; False when nobody reads it."""
    fault = sending.fault
    assert fault is not None
    assert fault.arrived is not None
    while end - fault.arrived() > fault.ahead_bytes:
        if _is_gone(peer) or sending.ended.wait(LOOK_S):
            break
    peer.close_connection |= _is_gone(peer)
    return not peer.close_connection and not sending.ended.is_set()


def _is_gone(peer: Peer) -> bool:
    """Whether the other side has closed the connection."""
    # The socket has a timeout, so that reading it would wait.
    if not select.select([peer.connection], [], [], 0)[0]:
        return False
    try:
        return not peer.connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _break_off(peer: Peer, sending: Sending, trouble: Trouble | None) -> None:
    peer.close_connection = True
    if trouble in {Trouble.STALL, Trouble.HELD}:
        sending.ended.wait(60)
        return
    # A reset, and not the end of the stream: what the peer has not read is lost too.
    linger = struct.pack("ii", 1, 0)
    peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    peer.connection.close()

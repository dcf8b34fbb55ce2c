"""
Enough of Xet storage to download from: one file is one object of chunks, uncompressed.

Source: the Xet protocol's description of reconstructions and of serialized xorbs; the
client is the real hf_xet.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.hub_repository import HubFile

CHUNK_BYTES = 65_536
HEADER_BYTES = 8


def reconstruction(file: HubFile, asked: str | None, url: str) -> bytes | None:
    """
    Return how to put a file together.

    Args:
        file: The file.
        asked: The request's Range header.
        url: Where the object is.
    Returns:
        The document; None: the range begins after the end.
    """
    first, last = 0, file.size_bytes - 1
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
    if match:
        first = int(match[1])
        last = min(last, int(match[2])) if match[2] else last
    if first > last:
        return None
    start, end = first // CHUNK_BYTES, last // CHUNK_BYTES + 1
    size_bytes = min(end * CHUNK_BYTES, file.size_bytes) - start * CHUNK_BYTES
    chunks = {"start": start, "end": end}
    begin = _position(start)
    document = {
        "offset_into_first_range": first - start * CHUNK_BYTES,
        "terms": [{"hash": file.etag, "unpacked_length": size_bytes, "range": chunks}],
        "fetch_info": {
            file.etag: [
                {
                    "range": chunks,
                    "url": url,
                    "url_range": {
                        "start": begin,
                        "end": begin + size_bytes + (end - start) * HEADER_BYTES - 1,
                    },
                }
            ]
        },
    }
    return json.dumps(document).encode()


def serialize(content: bytes) -> bytes:
    """Return an object with this content: each chunk after a header."""
    parts = []
    for start in range(0, len(content), CHUNK_BYTES):
        chunk = content[start : start + CHUNK_BYTES]
        length = len(chunk).to_bytes(3, "little")
        parts.append(b"\0" + length + b"\0" + length + chunk)
    return b"".join(parts)


def _position(chunk: int) -> int:
    return chunk * (CHUNK_BYTES + HEADER_BYTES)

"""
The tensors of a checkpoint, as the headers of its safetensors files list them. Pure.

Source: the safetensors format: eight bytes with the length of the header, little-
endian, then the header in JSON, then the data.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LENGTH_BYTES: Final = 8
HEADER_MAX_BYTES: Final = 100 * 1024 * 1024
FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})
_METADATA: Final = "__metadata__"


@dataclass(frozen=True)
class Tensor:
    """
    One tensor as it is stored.

    Args:
        name: Its name in the checkpoint.
        dtype: Type of its numbers, such as ``BF16``.
        shape: Its dimensions.
        size_bytes: Bytes that it takes in the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


def header_bytes(start: bytes) -> int:
    """
    Return the length of the header that follows the first eight bytes of a file.

    Raises:
        NotKnown: it is no such file.
    """
    if len(start) < LENGTH_BYTES:
        raise NotKnown("a weight file is empty")
    (length,) = struct.unpack("<Q", start[:LENGTH_BYTES])
    if not 0 < length <= HEADER_MAX_BYTES:
        raise NotKnown("a weight file is no safetensors file")
    return int(length)


def parse_header(header: bytes) -> tuple[Tensor, ...]:
    """
    Return the tensors that a header lists.

    Raises:
        NotKnown: it is no header of a safetensors file.
    """
    try:
        document = json.loads(header)
        return tuple(_tensors(document))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotKnown("the header of a weight file is damaged") from error


def _tensors(document: Mapping[str, Any]) -> Iterator[Tensor]:
    for name, entry in document.items():
        if name == _METADATA:
            continue
        begin, end = entry["data_offsets"]
        yield Tensor(name, str(entry["dtype"]), tuple(entry["shape"]), end - begin)

"""How often a token may be guessed: ten times a minute from one address. Pure."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vllm_pkg.clock import Clock

LIMIT: Final = 10
WINDOW_S: Final = 60.0
# Of more addresses than these the one that failed longest ago is forgotten.
SOURCES_MAX: Final = 4096
# Who has one address of a network of IPv6 has all of them.
_IPV6_NETWORK_BITS: Final = 64


class FailedAttempts:
    """
    The wrong tokens of the last minute, by where they came from.

    Args:
        clock: Boot time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times_s: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, source: str) -> int:
        """
        Return for how many seconds nothing of a source is looked at; 0: it may try.

        Args:
            source: From `source_of`.
        """
        times_s = self._times_s.get(source)
        if times_s is None or len(times_s) < LIMIT:
            return 0
        return max(0, math.ceil(times_s[0] + WINDOW_S - self._clock.now_s()))

    def note(self, source: str) -> None:
        """Remember that a source has failed."""
        times_s = self._times_s.setdefault(source, deque(maxlen=LIMIT))
        times_s.append(self._clock.now_s())
        self._times_s.move_to_end(source)
        while len(self._times_s) > SOURCES_MAX:
            self._times_s.popitem(last=False)


def source_of(address: str | None) -> str:
    """
    Return what counts as one source.

    Args:
        address: Where a request comes from, as the server tells; None: not known.
    """
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        network = ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False)
        return str(mapped or network)
    return str(parsed)

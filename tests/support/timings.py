"""Whether the time of a comparison tells how much of a secret was right, as dudect."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Beyond it dudect calls two sets of timings different: one chance in 150,000.
T_MAX = 4.5
# The slowest are interrupts and the like, and say nothing of the comparison.
KEPT_SHARE = 0.9


def leaking_find(secret: str) -> Callable[[bytes], None]:
    """Return a comparison as nobody should make it: it ends at the first difference."""

    def find(token: bytes) -> None:
        for given, right in zip(token, secret.encode(), strict=False):
            if given != right:
                return

    return find


def least_t_values(
    ask: Callable[[bytes], None], secret: str, tried: int
) -> tuple[float, float]:
    """
    Time it up to three times: a difference that is there shows each time.

    Args:
        ask: Compares what it is given with the secret.
        secret: What is right.
        tried: How many comparisons are timed.
    Returns:
        Welch's t of what is wrong at once and wrong at the end, and of two halves of
        the first: what chance alone gives.
    """
    values = []
    for _ in range(3):
        values.append(_t_values(ask, secret, tried))
        if abs(values[-1][0]) < T_MAX:
            break
    return min(values, key=lambda pair: abs(pair[0]))


def _t_values(
    ask: Callable[[bytes], None], secret: str, tried: int
) -> tuple[float, float]:
    draw = random.Random(29)  # noqa: S311  # the same order each time
    last = len(secret) - 1
    tokens = {0: b"#" + secret[1:].encode(), last: secret[:-1].encode() + b"#"}
    assert {len(token) for token in tokens.values()} == {len(secret)}
    taken: dict[int, list[int]] = {0: [], last: []}
    # Made before: neither where a key lies nor what its making leaves behind may count.
    order = [draw.choice((0, last)) for _ in range(tried)]
    keys_in_order = [bytes(bytearray(tokens[right])) for right in order]
    gc.disable()
    try:
        for right, token in zip(order, keys_in_order, strict=True):
            began = time.perf_counter_ns()
            ask(token)
            taken[right].append(time.perf_counter_ns() - began)
    finally:
        gc.enable()
    limit = sorted(taken[0] + taken[last])[int(tried * KEPT_SHARE)]
    none, most = ([t for t in times if t <= limit] for times in taken.values())
    return _welch(none, most), _welch(none[::2], none[1::2])


def _welch(one: list[int], other: list[int]) -> float:
    squares = sum(statistics.variance(times) / len(times) for times in (one, other))
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(squares)

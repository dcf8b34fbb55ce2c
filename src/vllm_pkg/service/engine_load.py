"""What an engine has to do, out of what it counts itself: pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

_RUNNING: Final = "vllm:num_requests_running"
_WAITING: Final = "vllm:num_requests_waiting"
_GENERATED: Final = "vllm:generation_tokens_total"
_SAMPLE: Final = re.compile(r"^(vllm:\w+)\{[^\n]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class EngineLoad:
    """
    What all cores of an engine have to do together.

    Args:
        running: Requests that it computes.
        waiting: Requests that wait for their turn.
        generated_tokens: Tokens that came out since its start.
    """

    running: int
    waiting: int
    generated_tokens: int


def read_load(metrics: str) -> EngineLoad | None:
    """
    Read the load out of the text of ``/metrics``.

    Args:
        metrics: In Prometheus' text format; lines that are not understood are left out.
    Returns:
        None when no core tells of its requests.
    """
    sums: dict[str, int] = {}
    for name, text in _SAMPLE.findall(metrics):
        if name in {_RUNNING, _WAITING, _GENERATED}:
            sums[name] = sums.get(name, 0) + _count(text)
    if _RUNNING not in sums:
        return None
    return EngineLoad(sums[_RUNNING], sums.get(_WAITING, 0), sums.get(_GENERATED, 0))


def _count(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        return 0
    return max(0, int(number)) if math.isfinite(number) else 0

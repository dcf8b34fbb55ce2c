"""
Whether an engine that runs requests gets anywhere: pure, over what it counts itself.

``/health`` answers 200 while the engine's core hangs, so it proves nothing. The core's
own counters do: it sends them with every step, so each of them that moves is a step.
Only such are taken. What the API server counts by itself moves without the core.

A core that hangs while it has no request says "no request" for ever. So a request that
waits at the guard for its first word, while no core does a step, is a stall as well.
Source: vLLM 0.32, v1/metrics/loggers.py; v1/engine/async_llm.py, output_handler.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

# The gauges of requests say how many wait for a token.
REQUEST_GAUGES: Final = frozenset(
    {"vllm:num_requests_running", "vllm:num_requests_waiting"}
)
# A long prompt is computed in parts. Its tokens are counted at the end of the last one,
# but each part takes blocks of the cache.
STEP_COUNTERS: Final = frozenset(
    {
        *("vllm:kv_cache_usage_perc", "vllm:prefix_cache_queries_total"),
        *("vllm:prompt_tokens_total", "vllm:generation_tokens_total"),
        *("vllm:iteration_tokens_total_count", "vllm:num_preemptions_total"),
    }
)
# Between two looks further apart, one request may have ended and another begun.
GAP_MAX_S: Final = 30.0
# While requests run. What stops between two looks is counted from the second one, so a
# stall is found so much after its time; a second is left for a machine that is late.
BUSY_PERIOD_S: Final = 4.0
_SAMPLE: Final = re.compile(r"^(vllm:\w+)\{(.*)\} (\S+)$")
# Digits that no count and no uptime exceeds.
_WAITING: Final = re.compile(r"(\d{1,9}) (\d{1,12}(?:\.\d{1,9})?)", re.ASCII)
_ENGINE: Final = re.compile(r'(?:^|,)engine="([^"]*)"')


@dataclass(frozen=True)
class Sample:
    """
    What one engine core says of itself.

    Args:
        engine: Which of them; there are several with data parallelism.
        requests: How many requests it runs or has waiting.
        steps: Everything that moves when it does a step, as one text.
    """

    engine: str
    requests: int
    steps: str


@dataclass(frozen=True)
class Waiting:
    """
    What waits at the guard for the first word of its answer.

    Args:
        requests: How many.
        oldest_s: For how many seconds the first of them has.
    """

    requests: int
    oldest_s: float


@dataclass(frozen=True)
class Report:
    """
    What one look at an engine shows.

    Args:
        samples: One per engine core; none: they cannot be judged.
        waiting: None where no guard tells it.
    """

    samples: tuple[Sample, ...]
    waiting: Waiting | None = None


@dataclass(frozen=True)
class CoreProgress:
    """
    What is remembered of one engine core between two looks.

    Args:
        sample: What it said last.
        since_s: When it last moved or had nothing to do, in seconds since boot.
        moved_s: When it last moved.
    """

    sample: Sample
    since_s: float
    moved_s: float


@dataclass(frozen=True)
class Progress:
    """
    What is remembered of an engine between two looks.

    Args:
        observed_s: When it was looked at, in seconds since boot.
        cores: One entry per engine core.
        waiting: What waited at the guard then.
    """

    observed_s: float
    cores: tuple[CoreProgress, ...]
    waiting: Waiting | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no core has a request, and none waits."""
        is_waiting = self.waiting is not None and self.waiting.requests > 0
        return not is_waiting and all(core.sample.requests == 0 for core in self.cores)


@dataclass(frozen=True)
class Stall:
    """
    An engine that stands still while requests wait for it.

    Args:
        requests: How many.
        still_s: For how many seconds nothing has moved.
    """

    requests: int
    still_s: float

    @property
    def message(self) -> str:
        """One sentence for people."""
        one = self.requests == 1
        requests = "1 request runs" if one else f"{self.requests} requests run"
        return (
            f"The engine is stuck: {requests} and no token came out for"
            f" {self.still_s:.0f} s."
        )


@dataclass(frozen=True)
class StallDetector:
    """
    Tells an engine that stands still from one that is slow, busy or idle.

    Args:
        timeout_s: For how long nothing may move while requests run, > 0.
    """

    timeout_s: float

    def observe(
        self, earlier: Progress | None, report: Report, now_s: float
    ) -> Progress:
        """
        Take one look into account.

        Args:
            earlier: What was remembered after the last look at the same process.
            report: What the engine says now.
            now_s: Seconds since boot.
        """
        known: dict[str, CoreProgress] = {}
        if earlier is not None and now_s - earlier.observed_s <= GAP_MAX_S:
            known = {core.sample.engine: core for core in earlier.cores}
        cores = tuple(
            _follow(known.get(sample.engine), sample, now_s)
            for sample in report.samples
        )
        return Progress(now_s, cores, report.waiting)

    def judge(self, progress: Progress) -> Stall | None:
        """Return the stall that the last look shows, or None."""
        stalls = [
            Stall(core.sample.requests, progress.observed_s - core.since_s)
            for core in progress.cores
            if core.sample.requests > 0
        ]
        waiting = progress.waiting
        if waiting is not None and waiting.requests > 0 and progress.cores:
            # Which core it waits for is not known, so one that moves speaks for all.
            moved_s = max(core.moved_s for core in progress.cores)
            still_s = min(waiting.oldest_s, progress.observed_s - moved_s)
            stalls.append(Stall(waiting.requests, still_s))
        found = [stall for stall in stalls if stall.still_s >= self.timeout_s]
        return max(found, key=lambda stall: stall.still_s, default=None)

    def next_look_s(self, progress: Progress) -> float | None:
        """
        Return when to look again, in seconds since boot; None: there is no hurry.

        It is when the time of something that stands still is over, or a period later.
        """
        if progress.is_idle or not progress.cores:
            return None
        busy = [core.since_s for core in progress.cores if core.sample.requests > 0]
        ends_s = [since_s + self.timeout_s for since_s in busy]
        waiting = progress.waiting
        if waiting is not None and waiting.requests > 0:
            ends_s.append(progress.observed_s - waiting.oldest_s + self.timeout_s)
        coming_s = [end_s for end_s in ends_s if end_s > progress.observed_s]
        return min([progress.observed_s + BUSY_PERIOD_S, *coming_s])


def read_waiting(text: str | None) -> Waiting | None:
    """
    Read what the guard says of waiting requests.

    Args:
        text: The value of its header, such as ``2 31.500``; None: there was none.
    Returns:
        None as well for what it would not write.
    """
    found = _WAITING.fullmatch(text or "")
    return Waiting(int(found[1]), float(found[2])) if found else None


def read_samples(metrics: str) -> tuple[Sample, ...]:
    """
    Read what the engine cores say out of the text of ``/metrics``.

    Args:
        metrics: In Prometheus' text format; lines that are not understood are left out.
    Returns:
        One sample per engine core that tells how many requests it has.
    """
    requests: dict[str, int] = {}
    steps: dict[str, list[str]] = {}
    for line in metrics.splitlines():
        found = _SAMPLE.match(line)
        if found is None:
            continue
        name, labels, text = found.groups()
        engine = _ENGINE.search(labels)
        if engine is None or name not in REQUEST_GAUGES | STEP_COUNTERS:
            continue
        core = engine.group(1)
        steps.setdefault(core, []).append(f"{name.removeprefix('vllm:')} {text}")
        if name in REQUEST_GAUGES:
            requests[core] = requests.get(core, 0) + _count(text)
    return tuple(
        Sample(core, count, ", ".join(sorted(steps[core])))
        for core, count in sorted(requests.items())
    )


def _follow(known: CoreProgress | None, sample: Sample, now_s: float) -> CoreProgress:
    if known is None or known.sample != sample:
        return CoreProgress(sample, now_s, now_s)
    since_s = known.since_s if sample.requests else now_s
    return CoreProgress(sample, since_s, known.moved_s)


def _count(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        return 0
    return max(0, int(number)) if math.isfinite(number) else 0

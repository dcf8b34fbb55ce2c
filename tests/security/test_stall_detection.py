"""
T19 over a whole host: how long it takes until a stuck engine is found and restarted.

The engine is a fake that says it stands still; a real one is frozen in
test_real_engine. VLLM_PKG_TORTURE=1 asks for the long form.
"""

from __future__ import annotations

import pytest

from support.guarantees.plugin import is_long
from support.waiting import wait_until
from vllm_pkg.clock import BootClock

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

LIMIT_S = 4
PERIOD_S = 5
# One after the other, more would be a crash loop.
STALLS_MAX = 5
FROZEN = """\
vllm:num_requests_running{engine="0"} 1.0
vllm:generation_tokens_total{engine="0"} 5.0
"""
BUSY = FROZEN.replace("5.0", "NEXT")


def test_t19_stalls_are_found_in_time(host, guarantee):
    """T19: each stall is found within the limit and a period; one start cures it."""
    tried = 50 if is_long() else 1
    clock = BootClock()
    host.variables["VLLM_PKG_STALL_TIMEOUT_S"] = str(LIMIT_S)
    host.fake.set_metrics(BUSY)
    found_s, kept_s = [], []
    spawns = 0
    for number in range(tried):
        if number % STALLS_MAX == 0:
            _spawn_anew(host)
            spawns += 1
        starts = number + spawns
        host.wait_result("success")
        # Gone once the keeper itself has found it ready, and only then is it watched.
        wait_until(lambda: host.failure() is None, 30, "readiness")
        wait_until(lambda: host.is_watched(starts), 30, "a look")  # noqa: B023
        began_s = clock.now_s()
        host.fake.set_metrics(FROZEN)
        failure = wait_until(host.failure, 60, "the stall to be found")
        seen_s = host.observed_s()
        host.fake.set_metrics(BUSY)
        assert failure["summary"].startswith("The engine is stuck: 1 request runs")
        found_s.append(seen_s - began_s)
        kept_s.append(failure["at_s"] - seen_s)
        wait_until(lambda: host.starts() == starts + 1, 60, "a start")  # noqa: B023
    host.wait_result("success")
    more = host.starts() - spawns
    late = [took for took in found_s if took > LIMIT_S + PERIOD_S]
    most_s, kept_most_s = (_p95(times) for times in (found_s, kept_s))
    guarantee(
        "T19",
        "A stuck engine is found within the limit and a period, and restarted once",
        tried=tried,
        violations=len(late) + abs(more - tried),
        unit=f"stalls (p95 {most_s:.1f} s to find it, limit {LIMIT_S} s, period"
        f" {PERIOD_S} s; then {kept_most_s:.1f} s to keep the evidence)",
        control="while its counters move, the same number of requests is no stall",
    )

    assert late == []
    assert min(found_s) >= LIMIT_S
    assert more == tried


def _spawn_anew(host) -> None:
    if host.process is not None:
        host.process.terminate()
        host.process.wait(60)
    host.spawn()


def _p95(times_s: list[float]) -> float:
    return sorted(times_s)[int(len(times_s) * 0.95)]

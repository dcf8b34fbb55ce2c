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
# Evidence is kept before the failure is written down; a busy machine takes its time.
SLACK_S = 5
FROZEN = """\
vllm:num_requests_running{engine="0"} 1.0
vllm:generation_tokens_total{engine="0"} 5.0
"""
IDLE = """\
vllm:num_requests_running{engine="0"} 0.0
vllm:generation_tokens_total{engine="0"} 5.0
"""


def test_t19_stalls_are_found_in_time(host, guarantee):
    """T19: each stall is found within the limit and a period; one start cures it."""
    tried = 50 if is_long() else 1
    clock = BootClock()
    host.variables["VLLM_PKG_STALL_TIMEOUT_S"] = str(LIMIT_S)
    host.fake.set_metrics(IDLE)
    host.spawn()
    took_s = []
    for number in range(tried):
        host.wait_result("success")
        # Gone once the keeper itself has found it ready, and only then is it watched.
        wait_until(lambda: host.failure() is None, 30, "readiness")
        wait_until(lambda: host.is_watched(number + 1), 30, "a look")  # noqa: B023
        began_s = clock.now_s()
        host.fake.set_metrics(FROZEN)
        failure = wait_until(host.failure, 60, "the stall to be found")
        host.fake.set_metrics(IDLE)
        assert failure["summary"].startswith("The engine is stuck: 1 request runs")
        took_s.append(failure["at_s"] - began_s)
        wait_until(lambda: host.starts() == number + 2, 60, "a start")  # noqa: B023
    host.wait_result("success")
    starts = host.starts()
    late = [took for took in took_s if took > LIMIT_S + PERIOD_S + SLACK_S]
    most_s = sorted(took_s)[int(len(took_s) * 0.95)]
    guarantee(
        "T19",
        "A stuck engine is found in time, and restarted exactly once",
        tried=tried,
        violations=len(late) + abs(starts - tried - 1),
        unit=f"stalls (p95 {most_s:.1f} s to find it and keep the evidence, limit"
        f" {LIMIT_S} s, a look every {PERIOD_S} s)",
        control="while it idles, the same numbers are no stall",
    )

    assert late == []
    assert min(took_s) >= LIMIT_S
    assert starts == tried + 1

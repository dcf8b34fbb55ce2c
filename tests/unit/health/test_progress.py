"""Telling a stuck engine from one that is slow, busy or idle."""

from __future__ import annotations

import pytest

from vllm_pkg.health.progress import (
    CoreProgress,
    Progress,
    Sample,
    Stall,
    StallDetector,
    read_samples,
)

# As vLLM 0.32.0 writes it, shortened.
METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 2.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 1.0
vllm:num_requests_running{engine="1",model_name="a,b} \\"c"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:generation_tokens_total{engine="0",model_name="tiny"} 17.0
vllm:generation_tokens_created{engine="0",model_name="tiny"} 1.79e+09
vllm:request_success_total{engine="0",finished_reason="stop"} 4.0
vllm:num_requests_running{model_name="no engine"} 5.0
http_requests_total{handler="/v1/models",method="GET",status="2xx"} 9.0
vllm:num_requests_running nonsense
"""
DETECTOR = StallDetector(120.0)


def _watch(looks):
    """Return the verdict after looks of (second, requests, steps) each."""
    progress = None
    for now_s, requests, steps in looks:
        sample = Sample("0", requests, steps)
        progress = DETECTOR.observe(progress, (sample,), float(now_s))
    assert progress is not None
    return DETECTOR.judge(progress)


def test_samples_are_read_per_engine_core():
    """Requests are added up per core; only what the core itself moves is a step."""
    assert read_samples(METRICS) == (
        Sample(
            engine="0",
            requests=3,
            steps="generation_tokens_total 17.0, kv_cache_usage_perc 0.25,"
            " num_requests_running 2.0, num_requests_waiting 1.0",
        ),
        Sample(engine="1", requests=0, steps="num_requests_running 0.0"),
    )


@pytest.mark.parametrize("text", ["NaN", "+Inf", "many", "-3.0"])
def test_a_number_that_is_none_counts_no_requests(text):
    """What cannot be a number of requests is none."""
    line = f'vllm:num_requests_running{{engine="0"}} {text}\n'

    assert read_samples(line)[0].requests == 0


def test_an_engine_without_counters_is_not_judged():
    """With vLLM's statistics off there is nothing to see, and nothing is claimed."""
    progress = DETECTOR.observe(None, read_samples("process_x 1\n"), 0.0)

    assert progress.cores == ()
    assert DETECTOR.judge(progress) is None


def _every_5_s(until_s, requests, steps):
    return [(second, requests, steps(second)) for second in range(0, until_s + 1, 5)]


@pytest.mark.parametrize(
    ("looks", "stall"),
    [
        (_every_5_s(120, 3, lambda _: "same"), Stall(3, 120.0)),
        (_every_5_s(115, 3, lambda _: "same"), None),
        (_every_5_s(600, 0, lambda _: "same"), None),
        (_every_5_s(600, 3, str), None),
        (_every_5_s(600, 1, lambda second: str(second // 100)), None),
        (_every_5_s(600, 1, lambda second: str(second // 200)), None),
        ([*_every_5_s(110, 3, lambda _: "same"), (115, 0, "same")], None),
        ([*_every_5_s(110, 3, lambda _: "same"), (600, 3, "same")], None),
        (
            [
                *[(second, 0, "same") for second in range(0, 100, 5)],
                *[(second, 1, "same") for second in range(100, 230, 5)],
            ],
            Stall(1, 125.0),
        ),
    ],
    ids=[
        "nothing moves",
        "not yet",
        "idle",
        "every look",
        "every 100 s",
        "just moved",
        "ended",
        "nobody looked",
        "stuck after idling",
    ],
)
def test_stuck_is_told_from_slow_and_idle(looks, stall):
    """Only an engine with requests that does not move for the whole time is stuck."""
    assert _watch(looks) == stall


def test_one_stuck_core_of_two_is_found():
    """With data parallelism a core that moves does not hide one that does not."""
    progress = None
    for second in range(0, 150, 5):
        samples = (Sample("0", 1, str(second)), Sample("1", 2, "same"))
        progress = DETECTOR.observe(progress, samples, float(second))

    assert progress is not None
    assert DETECTOR.judge(progress) == Stall(2, 145.0)


def test_the_longest_stall_is_told():
    """Of two stuck cores the one that stands still for longer is named."""
    cores = tuple(
        CoreProgress(Sample(str(number), number, "s"), since_s)
        for number, since_s in ((1, 50.0), (2, 10.0))
    )

    assert DETECTOR.judge(Progress(300.0, cores)) == Stall(2, 290.0)


@pytest.mark.parametrize(
    ("stall", "message"),
    [
        (
            Stall(1, 120.0),
            "The engine is stuck: 1 request runs and no token came out for 120 s.",
        ),
        (
            Stall(7, 125.4),
            "The engine is stuck: 7 requests run and no token came out for 125 s.",
        ),
    ],
)
def test_the_message_names_requests_and_seconds(stall, message):
    """People read how many requests wait, and for how long."""
    assert stall.message == message


def test_t20_busy_for_a_day_is_not_stuck(guarantee):
    """T20: a saturated engine, one look in three late, is never called stuck."""
    stalls = 0
    looks = 0
    progress = None
    for second in range(0, 86_400, 5):
        if second % 3 == 0:
            continue
        # The slowest that is right: one step in 100 s, and never an empty queue.
        sample = Sample("0", 256 + second % 7, f"generation_tokens {second // 100}")
        progress = DETECTOR.observe(progress, (sample,), float(second))
        looks += 1
        stalls += DETECTOR.judge(progress) is not None
    guarantee(
        "T20",
        "An engine that is busy is never taken for a stuck one",
        tried=looks,
        violations=stalls,
        unit="looks in 24 simulated hours",
        control="the same engine without a step is found after 120 s",
    )

    assert looks > 10_000
    assert stalls == 0
    assert _watch(_every_5_s(200, 256, lambda _: "same")) == Stall(256, 200.0)

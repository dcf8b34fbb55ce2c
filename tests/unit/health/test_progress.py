"""Telling a stuck engine from one that is slow, busy or idle."""

from __future__ import annotations

import pytest

from vllm_pkg.health.progress import (
    BUSY_PERIOD_S,
    CoreProgress,
    Progress,
    Report,
    Sample,
    Stall,
    StallDetector,
    Waiting,
    read_samples,
    read_waiting,
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
    """Return the verdict after looks of (second, requests, steps, waiting?) each."""
    progress = None
    for now_s, requests, steps, *waiting in looks:
        report = Report((Sample("0", requests, steps),), *waiting)
        progress = DETECTOR.observe(progress, report, float(now_s))
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
    report = Report(read_samples("process_x 1\n"), Waiting(1, 900.0))
    progress = DETECTOR.observe(None, report, 0.0)

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
        progress = DETECTOR.observe(progress, Report(samples), float(second))

    assert progress is not None
    assert DETECTOR.judge(progress) == Stall(2, 145.0)


def _waiting_from(begin_s, until_s, steps, gauge=0):
    """Return looks at an engine to which one request came at a second."""
    return [
        (
            second,
            gauge if second >= begin_s else 0,
            steps(second),
            Waiting(int(second >= begin_s), max(0.0, float(second - begin_s))),
        )
        for second in range(0, until_s + 1, 5)
    ]


@pytest.mark.parametrize(
    ("looks", "stall"),
    [
        (_waiting_from(100, 220, lambda _: "same"), Stall(1, 120.0)),
        (_waiting_from(100, 215, lambda _: "same"), None),
        (_waiting_from(100, 600, str), None),
        (_waiting_from(0, 600, lambda second: str(second // 100)), None),
        (_waiting_from(700, 690, lambda _: "same"), None),
        (_waiting_from(100, 220, lambda _: "same", gauge=1), Stall(1, 120.0)),
        (
            [
                *[(at, 0, "same", Waiting(0, 0.0)) for at in range(0, 600, 5)],
                (600, 0, "same", Waiting(1, 0.1)),
            ],
            None,
        ),
        ([(0, 0, "same"), (600, 0, "same", Waiting(1, 500.0))], None),
    ],
    ids=[
        "hung while idle",
        "not yet",
        "a queue",
        "slow steps",
        "idle",
        "counted by both",
        "just come",
        "nobody looked",
    ],
)
def test_a_request_that_waits_at_the_guard_shows_a_core_that_hung_idle(looks, stall):
    """Only one that waits for the whole time, while no step is done, is a stall."""
    assert _watch(looks) == stall


def test_of_two_cores_one_that_moves_speaks_for_both():
    """Which core a waiting request is for is not known, so nothing is claimed."""
    progress = None
    for second in range(0, 200, 5):
        samples = (Sample("0", 0, str(second)), Sample("1", 0, "same"))
        report = Report(samples, Waiting(1, float(second)))
        progress = DETECTOR.observe(progress, report, float(second))

    assert progress is not None
    assert DETECTOR.judge(progress) is None


@pytest.mark.parametrize(
    ("text", "waiting"),
    [
        ("0 0.000", Waiting(0, 0.0)),
        ("2 31.500", Waiting(2, 31.5)),
        ("7 8", Waiting(7, 8.0)),
        (None, None),
        *((text, None) for text in ("", "2", "2 x", "-1 3", "1 nan", "1 2 3", "1 1e9")),
        *((text, None) for text in ("1 " + "9" * 400, "9" * 400 + " 1")),
        ("\u0661 \u0662", None),
    ],
)
def test_what_the_guard_says_is_read(text, waiting):
    """Two numbers are read as what they are, and anything else as nothing."""
    assert read_waiting(text) == waiting


@pytest.mark.parametrize(
    ("requests", "waiting", "is_idle"),
    [
        (0, None, True),
        (0, Waiting(0, 0.0), True),
        (0, Waiting(1, 2.0), False),
        (1, None, False),
    ],
)
def test_idle_is_an_engine_without_any_request(requests, waiting, is_idle):
    """Neither a core's request nor a waiting one is idleness."""
    progress = DETECTOR.observe(
        None, Report((Sample("0", requests, "s"),), waiting), 0.0
    )

    assert progress.is_idle is is_idle


def test_the_longest_stall_is_told():
    """Of two stuck cores the one that stands still for longer is named."""
    cores = tuple(
        CoreProgress(Sample(str(number), number, "s"), since_s, since_s)
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
        progress = DETECTOR.observe(progress, Report((sample,)), float(second))
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


def _core(requests, since_s):
    return CoreProgress(Sample("0", requests, "x"), float(since_s), 0.0)


@pytest.mark.parametrize(
    ("cores", "waiting", "expected"),
    [
        ((), None, None),
        ((), Waiting(1, 5.0), None),
        ((_core(0, 200),), None, None),
        ((_core(0, 200),), Waiting(0, 0.0), None),
        # A period later, while the end is far away.
        ((_core(1, 200),), None, 204.0),
        # At the end itself when that comes first, of whichever core.
        ((_core(1, 83),), None, 203.0),
        ((_core(1, 200), _core(1, 83)), None, 203.0),
        ((_core(0, 83), _core(1, 200)), None, 204.0),
        # An end that is over was judged.
        ((_core(1, 70),), None, 204.0),
        ((_core(1, 80),), None, 204.0),
        # What waits at the guard is judged too.
        ((_core(0, 200),), Waiting(1, 10.0), 204.0),
        ((_core(0, 200),), Waiting(1, 119.0), 201.0),
    ],
)
def test_the_next_look_is_when_a_stall_may_be_told(cores, waiting, expected):
    """While requests run it is soon; while nothing runs there is no hurry."""
    assert DETECTOR.next_look_s(Progress(200.0, cores, waiting)) == expected


@pytest.mark.parametrize("offset_s", [0.0, 0.1, 1.7, 3.9])
@pytest.mark.parametrize("timeout_s", [4.0, 10.0, 120.0])
def test_t19_a_stall_is_told_within_a_period(offset_s, timeout_s):
    """T19: wherever looks fall, a stall is told at most a period after its time."""
    detector = StallDetector(timeout_s)
    frozen_s = 100.0 + offset_s
    now_s, progress = 92.0, None
    while progress is None or detector.judge(progress) is None:
        steps = str(min(now_s, frozen_s))
        report = Report((Sample("0", 1, steps),))
        progress = detector.observe(progress, report, now_s)
        told_s = now_s
        due_s = detector.next_look_s(progress)
        assert due_s is not None
        now_s = due_s + 0.1

    assert timeout_s <= told_s - frozen_s <= timeout_s + BUSY_PERIOD_S + 0.5

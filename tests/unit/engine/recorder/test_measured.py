"""The memory that the engine logs."""

from __future__ import annotations

import pytest

from support.start_logs import read_start_log
from vllm_pkg.engine.recorder.measured import MeasuredMemory, measure


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cpu", MeasuredMemory(None, 1.0, 1_048_576)),
        ("gpu", MeasuredMemory(15.2683, 52.31, 380_912)),
    ],
)
def test_recorded_starts_are_measured(name, expected):
    """Weights, cache and tokens are found in the words of both builds."""
    memory = MeasuredMemory()
    for _, line in read_start_log(name):
        memory = measure(memory, line)

    assert memory == expected


def test_the_first_worker_counts():
    """What a second worker says changes nothing."""
    memory = measure(MeasuredMemory(), "Model loading took 1.5 GiB memory")
    memory = measure(memory, "Model loading took 2.5 GiB memory")
    memory = measure(memory, "Available KV cache memory: 3.5 GiB")
    memory = measure(memory, "Available KV cache memory: 4.5 GiB")
    memory = measure(memory, "GPU KV cache size: 10 tokens, Maximum")
    memory = measure(memory, "GPU KV cache size: 20 tokens, Maximum")

    assert memory == MeasuredMemory(1.5, 3.5, 10)


@pytest.mark.parametrize("line", ["", "Model loading took 1.2.3 GiB", "5 tokens"])
def test_what_is_no_number_is_left_out(line):
    """Other lines, and numbers that are none, measure nothing."""
    assert measure(MeasuredMemory(), line) == MeasuredMemory()

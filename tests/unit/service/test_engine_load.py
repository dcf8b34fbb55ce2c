"""What an engine has to do, out of its metrics."""

from __future__ import annotations

from vllm_pkg.service.engine_load import EngineLoad, read_load

CORES = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:generation_tokens_total{engine="0",model_name="m"} 1.2e+03
vllm:generation_tokens_total{engine="1",model_name="m"} nan
vllm:prompt_tokens_total{engine="1",model_name="m"} 99.0
"""


def test_the_cores_are_added_up():
    """All cores count together, and what is no number counts nothing."""
    assert read_load(CORES) == EngineLoad(3, 4, 1200)


def test_what_is_no_number_counts_nothing():
    """A value that cannot be read, or is negative, is none."""
    text = 'vllm:num_requests_running{engine="0"} x\n'
    negative = 'vllm:num_requests_running{engine="0"} -3\n'

    assert read_load(text) == EngineLoad(0, 0, 0)
    assert read_load(negative) == EngineLoad(0, 0, 0)


def test_without_requests_there_is_no_load():
    """Another program's metrics, or none, say nothing of an engine."""
    assert read_load("") is None
    assert read_load('vllm:prompt_tokens_total{engine="1"} 99.0\n') is None

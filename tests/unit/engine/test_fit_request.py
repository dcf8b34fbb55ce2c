"""Arguments of ``vllm serve`` become the request of an estimate."""

from __future__ import annotations

import pytest

from support.sizing_cases import cpu_hardware, gpu_hardware
from vllm_pkg.engine.acceptor import accept_arguments
from vllm_pkg.engine.fit_request import build_request, option_values
from vllm_pkg.engine.options import load_options
from vllm_pkg.errors import InvalidArgument


def values_of(*arguments: str) -> dict[str, str]:
    """Return the values that arguments have, once they are accepted."""
    options = load_options()
    accepted = accept_arguments(("org/name", *arguments), options)
    return option_values(accepted.arguments, options)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {}),
        (("--max-model-len", "8192"), {"--max-model-len": "8192"}),
        (("--max_model_len=8k",), {"--max-model-len": "8k"}),
        (("-tp", "2"), {"--tensor-parallel-size": "2"}),
        (("-tp", "2", "--tensor-parallel-size=4"), {"--tensor-parallel-size": "4"}),
        (
            ("--device-memory-utilization", "0.5"),
            {"--gpu-memory-utilization": "0.5"},
        ),
        (("--enforce-eager",), {"--enforce-eager": ""}),
        (("--enforce-eager", "--no-enforce-eager"), {"--no-enforce-eager": ""}),
        (("--no-enforce-eager", "--enforce-eager"), {"--enforce-eager": ""}),
        (("--max-model-len=-1",), {"--max-model-len": "-1"}),
        (
            ("--speculative-config.model=org/draft",),
            {"--speculative-config": "org/draft"},
        ),
    ],
)
def test_the_last_value_counts_by_the_tables_name(arguments, expected):
    """Every spelling ends at one name, and what comes last counts, as in vLLM."""
    assert values_of(*arguments) == expected


def test_a_request_for_a_gpu():
    """Model, values, the Hub's address and the token find their places."""
    request = build_request(
        ("org/name", "--dtype", "half"),
        gpu_hardware(24.0),
        {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_TOKEN": "hf_x"},
    )
    assert (request.model, request.values) == ("org/name", {"--dtype": "half"})
    assert request.cpu_cache_gib is None
    assert request.access.endpoint == "http://127.0.0.1:1"
    assert request.access.token == "hf_x"  # noqa: S105  # of nobody


@pytest.mark.parametrize(
    ("arguments", "environ", "cache_gib"),
    [
        ((), {}, 6.0),
        ((), {"VLLM_CPU_KVCACHE_SPACE": "3"}, 3.0),
        ((), {"VLLM_CPU_KVCACHE_SPACE": ""}, 6.0),
        (("--kv-cache-memory-bytes", "1G"), {}, None),
        (("--gpu-memory-utilization", "0.5"), {}, None),
    ],
)
def test_a_request_for_a_cpu(arguments, environ, cache_gib):
    """On a CPU the cache gets what the engine's command would give it."""
    request = build_request(("org/name", *arguments), cpu_hardware(), environ)
    assert request.cpu_cache_gib == cache_gib
    assert request.access.endpoint is None


def test_a_wrong_argument_is_refused():
    """What the engine would not be started with gets no estimate."""
    with pytest.raises(InvalidArgument, match="--no-such-option"):
        build_request(("org/name", "--no-such-option"), cpu_hardware(), {})

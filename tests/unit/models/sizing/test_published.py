"""Published models: what is read out of their configs gives their published sizes."""

from __future__ import annotations

import pytest

from support.parameter_count import count_parameters
from support.sizing_cases import NAMES, gpu_machine, published
from vllm_pkg.models.sizing.arguments import ServeArguments
from vllm_pkg.models.sizing.estimate import Problem, Situation
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.planning import plan_for
from vllm_pkg.models.sizing.reading import read_architecture
from vllm_pkg.models.sizing.verdict import Change, Verdict, decide

# Of these the stored size was found as such; see the README of the data.
STORED = ["qwen3-0.6b", "qwen3-8b", "smollm2-135m-instruct"]
STORED_TWICE = {"qwen3-0.6b": 151936 * 1024}
CONTEXTS = {
    "llama-3.1-8b-instruct": 131072,
    "llama-3.2-1b-instruct": 131072,
    "mistral-7b-v0.1": 32768,
    "qwen2.5-7b-instruct": 32768,
    "qwen3-8b": 40960,
    "gemma-2-9b-it": 8192,
    "gemma-3-27b-it": 131072,
    "deepseek-v3": 163840,
    "gpt-oss-20b": 131072,
    "phi-3-mini-4k-instruct": 4096,
    "qwen3-next-80b-a3b-instruct": 262144,
}


def test_there_are_enough_models():
    """The table has at least fifteen models, of every kind of layer there is."""
    kinds = {
        str(layer.kind)
        for name in NAMES
        for layer in read_architecture(published(name)["config"]).layers
    }
    assert len(NAMES) >= 15
    assert kinds == {
        "full attention",
        "sliding-window attention",
        "multi-head latent attention",
        "recurrent state",
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_are_the_published_ones(name):
    """Counted out of what is read, the parameters are exactly the published number."""
    model = published(name)
    counted = count_parameters(model["config"])
    assert counted + model["parameters_beside"] == model["parameters"]


def test_a_wrong_reading_is_noticed():
    """The count is no tautology: with one key-value head more it is another number."""
    model = published("llama-3.1-8b-instruct")
    wrong = model["config"] | {"num_key_value_heads": 9}
    assert count_parameters(wrong) != model["parameters"]


@pytest.mark.parametrize("name", STORED)
def test_stored_sizes_agree_with_the_parameters(name):
    """Checkpoints in 16 bits are two bytes for each parameter, as published."""
    model = published(name)
    assert model["stored_bytes"] == 2 * (
        model["parameters"] + STORED_TWICE.get(name, 0)
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_cache_per_token_is_the_one_written_out(name):
    """Bytes of the KV cache per token are those written out by hand, on a GPU."""
    model = published(name)
    read = read_architecture(model["config"])
    plan = plan_for(read, ServeArguments(), gpu_machine(80), 8192)
    expected = model["kv_bytes_per_token"]
    # What the checkpoint keeps in 16 bits, whatever its weights are in.
    assert plan.token_bytes == expected


@pytest.mark.parametrize(("name", "tokens"), CONTEXTS.items())
def test_the_context_is_the_one_that_vllm_takes(name, tokens):
    """The longest sequence is what the model's page says."""
    assert read_architecture(published(name)["config"]).context_tokens == tokens


# On cards of which all but the driver's own is free; the figures are GiB of each card.
CASES = [
    ("qwen3-0.6b", (24.0,), Verdict.RUNS, None),
    ("qwen3-8b", (24.0,), Verdict.RUNS_WITH_CHANGE, "--max-model-len"),
    ("qwen3-8b", (80.0,), Verdict.RUNS, None),
    ("llama-3.1-8b-instruct", (24.0,), Verdict.RUNS_WITH_CHANGE, "--max-model-len"),
    ("llama-3.1-8b-instruct", (48.0,), Verdict.RUNS, None),
    ("llama-3.1-8b-instruct", (12.0,), Verdict.DOES_NOT_RUN, None),
    ("llama-3.3-70b-instruct", (80.0,), Verdict.DOES_NOT_RUN, None),
    (
        "llama-3.3-70b-instruct",
        (80.0,) * 8,
        Verdict.RUNS_WITH_CHANGE,
        "--tensor-parallel-size",
    ),
    ("mixtral-8x7b-instruct-v0.1", (80.0,), Verdict.DOES_NOT_RUN, None),
    (
        "mixtral-8x7b-instruct-v0.1",
        (80.0, 80.0),
        Verdict.RUNS_WITH_CHANGE,
        "--tensor-parallel-size",
    ),
    ("gpt-oss-20b", (24.0,), Verdict.RUNS, None),
    ("gemma-3-27b-it", (80.0,), Verdict.RUNS_WITH_CHANGE, "--max-model-len"),
    ("gemma-3-27b-it", (141.0,), Verdict.RUNS, None),
    ("deepseek-v2-lite-chat", (48.0,), Verdict.RUNS, None),
    ("deepseek-v3", (80.0,) * 8, Verdict.DOES_NOT_RUN, None),
    ("deepseek-v3", (141.0,) * 8, Verdict.RUNS_WITH_CHANGE, "--tensor-parallel-size"),
    ("phi-4", (24.0,), Verdict.DOES_NOT_RUN, None),
]


@pytest.mark.parametrize(("name", "sizes_gib", "verdict", "option"), CASES)
def test_verdicts_on_well_known_cards(name, sizes_gib, verdict, option):
    """Well-known models on well-known cards get the answers that experience gives."""
    model = published(name)
    read = read_architecture(model["config"])
    twice = 2 * STORED_TWICE.get(name, 0)
    situation = Situation(read, model["stored_bytes"] - twice, gpu_machine(*sizes_gib))
    decision = decide(situation, ServeArguments())
    assert decision.verdict is verdict
    named = decision.remedies[0][0].option if decision.remedies else None
    assert named == option


def test_the_shortfall_is_the_one_that_can_be_added_up():
    """Llama 70B on one 80 GiB card: 131.4 GiB of weights and what belongs to them."""
    model = published("llama-3.3-70b-instruct")
    situation = Situation(
        read_architecture(model["config"]), model["stored_bytes"], gpu_machine(80)
    )
    decision = decide(situation, ServeArguments())
    assert decision.estimate.problem is Problem.MEMORY
    assert decision.shortfall_cards == 1
    # 131.4 of weights, 0.3 of cache, some 4 beside; 79.5 that a process finds free.
    assert 54 < decision.shortfall_bytes / GIB < 59


def test_a_shorter_context_is_as_long_as_it_can_be():
    """The context that is named fits, and one that is 1024 tokens longer does not."""
    model = published("llama-3.1-8b-instruct")
    situation = Situation(
        read_architecture(model["config"]), model["stored_bytes"], gpu_machine(24)
    )
    ((change, *_), *_) = decide(situation, ServeArguments()).remedies
    assert isinstance(change, Change)
    tokens = int(change.value or 0)
    assert 30000 < tokens < 60000
    assert tokens % 1024 == 0
    fits = decide(situation, ServeArguments(context_tokens=tokens))
    longer = decide(situation, ServeArguments(context_tokens=tokens + 1024))
    assert fits.verdict is Verdict.RUNS
    assert longer.verdict is Verdict.RUNS_WITH_CHANGE

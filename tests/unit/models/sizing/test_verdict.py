"""From memory to the answer: the checks of vLLM in their order, and what would help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.sizing_cases import (
    FULL,
    LATENT,
    architecture,
    cpu_machine,
    gpu_machine,
)
from vllm_pkg.models.sizing.arguments import ServeArguments
from vllm_pkg.models.sizing.estimate import (
    Correction,
    Problem,
    Situation,
    estimate,
)
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.planning import plan_for, value_bytes
from vllm_pkg.models.sizing.unknown import NotKnown
from vllm_pkg.models.sizing.verdict import Change, Verdict, decide

# 32 layers of 4 KiB: 128 KiB per token, 4 GiB for 32768 tokens.
MODEL = architecture(*[FULL] * 32)
EAGER = ServeArguments(is_eager=True)


def on_gpu(weights_gib: float, *sizes_gib: float, **more) -> Situation:
    """Return the model with so many weights on such cards."""
    machine = gpu_machine(*sizes_gib, free_gib=more.pop("free_gib", None))
    return Situation(MODEL, round(weights_gib * GIB), machine, **more)


def on_cpu(weights_gib: float, cache_gib: float | None, **more) -> Situation:
    """Return the model with so many weights and so much cache on a CPU."""
    cache = None if cache_gib is None else round(cache_gib * GIB)
    return Situation(MODEL, round(weights_gib * GIB), cpu_machine(**more), cache)


def remedies(situation: Situation, arguments: ServeArguments = EAGER) -> list[str]:
    """Return what would help, as it is written."""
    return [
        " ".join(change.text for change in remedy)
        for remedy in decide(situation, arguments).remedies
    ]


def test_a_model_that_fits_runs():
    """Weights, reserve and cache stand within the share of the card."""
    found = decide(on_gpu(10, 24), EAGER)
    assert found.verdict is Verdict.RUNS
    assert found.remedies == ()
    result = found.estimate
    assert result.weights_bytes == 10 * GIB
    assert result.budget_bytes == -(-24 * GIB * 92 // 100)
    left = result.budget_bytes - result.weights_bytes - result.reserve_bytes
    assert result.cache_bytes == left
    assert result.token_bytes == 131072
    # One sequence of 32768 tokens in 2048 blocks of 2 MiB, and one block more.
    assert result.needed_bytes == 4 * GIB + 2 * 1024**2


@pytest.mark.parametrize(
    ("situation", "arguments", "problem"),
    [
        (on_gpu(10, 24), ServeArguments(context_tokens=40000), Problem.LENGTH),
        (on_gpu(10, 24), ServeArguments(cards=2), Problem.CARDS),
        (on_gpu(10, 24, 24), ServeArguments(stages=3), Problem.CARDS),
        (on_gpu(10, 24, 24, 24), ServeArguments(cards=3), Problem.SPLIT),
        (on_gpu(10, 24, free_gib=20.0), EAGER, Problem.BUSY),
        (on_gpu(30, 24), EAGER, Problem.MEMORY),
        (on_gpu(19, 24), EAGER, Problem.CACHE),
        (on_gpu(10, 24), replace(EAGER, cache_bytes=20 * GIB), Problem.MEMORY),
        (on_gpu(10, 24), replace(EAGER, cache_bytes=GIB), Problem.CACHE),
        (
            on_gpu(1, 24, free_gib=10.0),
            replace(EAGER, cache_bytes=5 * GIB),
            Problem.BUSY,
        ),
        (on_gpu(10, 24), replace(EAGER, cache_bytes=5 * GIB), None),
        (on_cpu(4, 5), ServeArguments(), None),
        (on_cpu(4, 1), ServeArguments(), Problem.CACHE),
        (on_cpu(14, 5), ServeArguments(), Problem.MEMORY),
        (on_cpu(4, None), ServeArguments(utilization=0.8), None),
        (on_cpu(4, None), ServeArguments(utilization=0.9), Problem.BUSY),
    ],
)
def test_what_vllm_would_refuse(situation, arguments, problem):
    """Each check of the start is foreseen, in vLLM's order."""
    assert estimate(situation, arguments).problem is problem


def test_the_card_that_has_least_decides():
    """Of unequal cards the smallest decides."""
    result = estimate(on_gpu(10, 48, 24), replace(EAGER, cards=2))
    assert result.budget_bytes == -(-24 * GIB * 92 // 100)


def test_a_busy_card_among_free_ones_is_seen():
    """A large card that somebody else uses stops the start, whatever others have."""
    machine = gpu_machine(24, 48)
    busy = replace(machine.cards[1], free_bytes=40 * GIB)
    machine = replace(machine, cards=(machine.cards[0], busy))
    result = estimate(Situation(MODEL, 10 * GIB, machine), replace(EAGER, cards=2))
    assert result.problem is Problem.BUSY


@pytest.mark.parametrize(
    ("situation", "first"),
    [
        (on_gpu(10, 24, free_gib=20.0), "--gpu-memory-utilization 0.81"),
        (on_gpu(19, 24), "--max-model-len 23552"),
        (on_gpu(21, 24, 24), "--tensor-parallel-size 2"),
        (on_gpu(21, 24), "--max-model-len 7168"),
        (on_cpu(4, 1), "--kv-cache-memory-bytes 5368709120"),
        (on_cpu(13, 5), "--kv-cache-memory-bytes 5033164800"),
        (on_cpu(4, 1, free_gib=11), "--kv-cache-memory-bytes 5033164800"),
    ],
)
def test_the_least_intrusive_change_is_named(situation, first):
    """The first remedy is the mildest that is enough by itself."""
    assert remedies(situation)[0] == first


def test_every_change_that_helps_is_named_once():
    """What would also do comes after, each once and in order."""
    assert remedies(on_gpu(19, 24, 24)) == [
        "--max-model-len 23552",
        "--tensor-parallel-size 2",
        "--kv-cache-dtype fp8",
        "--gpu-memory-utilization 0.97",
    ]


def test_a_share_that_was_chosen_too_small_is_raised():
    """Who gave the engine too little is told what the card could give."""
    found = remedies(on_gpu(10, 24), replace(EAGER, utilization=0.5))
    assert found[0] == "--gpu-memory-utilization 0.92"


def test_a_context_beyond_the_models_own():
    """A context that the model does not have is cut to what it has."""
    found = remedies(on_gpu(5, 24), replace(EAGER, context_tokens=50000))
    assert found[0] == "--max-model-len 32768"


def test_fewer_cards_than_asked_for():
    """With two cards asked for and one there, one is named where it is enough."""
    found = remedies(on_gpu(5, 24), replace(EAGER, cards=2))
    assert found == ["--tensor-parallel-size 1"]


def test_no_graphs_are_the_last_resort():
    """Where only the graphs' memory is missing, doing without them helps."""
    assert remedies(on_gpu(17.5, 24), ServeArguments())[-1] == "--enforce-eager"


def test_nearly_all_the_memory_when_little_is_missing():
    """Nearly all of a card's memory is taken only where nothing milder is enough."""
    found = remedies(on_gpu(21.95, 24))
    assert found == ["--gpu-memory-utilization 0.97 --max-model-len 9216"]


def test_two_changes_where_one_is_not_enough():
    """A busy card with little left needs a smaller share and a shorter context."""
    found = remedies(on_gpu(10, 24, free_gib=13.0), EAGER)
    assert found == ["--gpu-memory-utilization 0.52 --max-model-len 18432"]


def test_what_does_not_run_lacks_so_much():
    """The shortfall is what weights, reserve and a short context lack, at the least."""
    found = decide(on_gpu(60, 24, 24), EAGER)
    assert found.verdict is Verdict.DOES_NOT_RUN
    assert found.shortfall_cards == 2
    # 30.6 of weights, some 0.2 beside, 0.1 of cache; 23 are free.
    assert 7.7 < found.shortfall_bytes / GIB < 8.1
    assert found.remedies == ()


def test_a_main_memory_that_is_too_small():
    """On a CPU no size of the cache helps where the weights leave no room for one."""
    found = decide(on_cpu(19, 5), ServeArguments())
    assert found.verdict is Verdict.DOES_NOT_RUN
    assert 1.4 < found.shortfall_bytes / GIB < 1.5


def test_an_automatic_context_is_what_fits():
    """The search of vLLM for the longest context is foreseen."""
    automatic = replace(EAGER, is_context_automatic=True)
    found = decide(on_gpu(19, 24), automatic)
    assert found.verdict is Verdict.RUNS
    assert found.estimate.context_tokens == 23952
    none = decide(on_gpu(21.85, 24), automatic)
    assert none.estimate.problem is Problem.CACHE
    assert none.estimate.context_tokens == 1024


def test_stages_have_their_part_of_the_layers():
    """With two stages each card has half of the layers."""
    result = estimate(on_gpu(10, 24, 24), replace(EAGER, stages=2))
    assert result.token_bytes == 65536
    assert result.cards == 2


def test_a_correction_changes_the_estimate():
    """What was learned goes into weights, reserve and cache."""
    plain = estimate(on_gpu(10, 24), EAGER)
    learned = Correction(1.1, GIB, 2.0, is_learned=True)
    result = estimate(on_gpu(10, 24, correction=learned), EAGER)
    assert result.weights_bytes == 11 * GIB
    assert result.reserve_bytes == plain.reserve_bytes + GIB
    assert result.token_bytes == 2 * plain.token_bytes
    less = Correction(reserve_bytes=-100 * GIB)
    assert estimate(on_gpu(10, 24, correction=less), EAGER).reserve_bytes == 0


def test_a_model_without_a_length():
    """Where the config says no length, vLLM takes 2048."""
    model = replace(MODEL, context_tokens=None)
    situation = Situation(model, GIB, gpu_machine(24))
    assert estimate(situation, EAGER).context_tokens == 2048
    crowded = Situation(model, 60 * GIB, gpu_machine(24))
    assert decide(crowded, EAGER).verdict is Verdict.DOES_NOT_RUN


@pytest.mark.parametrize(
    ("asked", "own", "checkpoint", "token_bytes"),
    [
        ("auto", 2, None, 4096),
        ("auto", None, None, 4096),
        ("auto", 2, 1, 2048),
        ("fp8", 2, None, 2048),
        ("bfloat16", 2, 1, 4096),
    ],
)
def test_the_type_of_the_cache(asked, own, checkpoint, token_bytes):
    """What is asked for counts, then the checkpoint's wish, then the model's type."""
    model = architecture(FULL, value_bytes=own, cache_value_bytes=checkpoint)
    plan = plan_for(model, ServeArguments(cache_dtype=asked), gpu_machine(24), 4096)
    assert plan.token_bytes == token_bytes


@pytest.mark.parametrize(
    ("layer", "machine", "block_tokens"),
    [
        (FULL, gpu_machine(24), 16),
        (LATENT, gpu_machine(24), 64),
        (FULL, cpu_machine(), 128),
        (LATENT, cpu_machine(), 16),
    ],
)
def test_blocks_have_the_backends_size(layer, machine, block_tokens):
    """Blocks are as large as vLLM's backends on that kind of machine want them."""
    plan = plan_for(architecture(layer), ServeArguments(), machine, 4096)
    assert plan.groups[0].block_tokens == block_tokens


def test_what_the_estimate_cannot_follow():
    """Types that are not known, and cards on a CPU, are told."""
    with pytest.raises(NotKnown, match="KV cache in 'nvfp4'"):
        plan_for(MODEL, ServeArguments(cache_dtype="nvfp4"), gpu_machine(24), 4096)
    with pytest.raises(NotKnown, match="type 'odd' of --dtype"):
        value_bytes(MODEL, ServeArguments(dtype="odd"))
    assert value_bytes(MODEL, ServeArguments(dtype="float32")) == 4
    with pytest.raises(NotKnown, match="over the processors"):
        estimate(on_cpu(4, 5), ServeArguments(cards=2))


def test_how_a_change_is_written():
    """A change is the option and its value, or the option alone."""
    assert Change("--max-model-len", "8192").text == "--max-model-len 8192"
    assert Change("--enforce-eager", None).text == "--enforce-eager"

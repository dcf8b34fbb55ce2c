"""Which presets fit which machine, with which arguments, and why others do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm_pkg.errors import PresetDoesNotFit
from vllm_pkg.hardware.facts import Gpu, Hardware, Tier, Vendor
from vllm_pkg.models.fit import (
    best_fit,
    fit_preset,
    fit_presets,
    force_preset,
    require_fit,
    resolve_args,
    round_gib,
)
from vllm_pkg.models.local import Places
from vllm_pkg.models.presets import find_preset, parse_presets

PLACES = Places(Path("/vllm-workspace/examples"), Path("/data/local-models"))
CAPABILITIES = {
    Tier.NVIDIA_BLACKWELL: "12.0",
    Tier.NVIDIA_HOPPER: "9.0",
    Tier.NVIDIA_OLDER: "8.6",
    Tier.AMD: "gfx942",
}


def gpus(tier: Tier, *sizes_gib: float | None, capability: str = "") -> Hardware:
    """Return a machine with cards of those sizes; None shares 119.7 GiB."""
    vendor = Vendor.AMD if tier is Tier.AMD else Vendor.NVIDIA
    cards = tuple(
        Gpu(vendor, index, "Card", capability or CAPABILITIES[tier], size)
        for index, size in enumerate(sizes_gib)
    )
    shared_gib = 119.7 if None in sizes_gib else 0.0
    total_gib = sum(size for size in sizes_gib if size is not None) + shared_gib
    return Hardware(tier, total_gib, 119.7, cards, "test", ())


def cpu(memory_gib: float) -> Hardware:
    """Return a machine without a GPU."""
    return Hardware(Tier.CPU, memory_gib, memory_gib, (), "test", ())


def value_of(args: tuple[str, ...], option: str) -> str | None:
    """Return the value after an option, or None."""
    return args[args.index(option) + 1] if option in args else None


def preset_with(heads: int, kv_heads: list[int], other_heads: list[int], min_gib: int):
    """Return a preset for older NVIDIA cards that splits in its own way."""
    (preset,) = parse_presets(
        {
            "split": {
                "name": "Split",
                "task": "chat",
                "attention_heads": heads,
                "kv_heads": kv_heads,
                "other_heads": other_heads,
                "tiers": {
                    "nvidia-older": {
                        "args": ["org/split"],
                        "min_gib": min_gib,
                        "context": [[min_gib, 1024]],
                    }
                },
            }
        }
    )
    return preset


def test_complete_arguments_of_a_preset():
    """On one card of 24 GiB: repository, options, context, and no more."""
    fit = fit_preset(
        find_preset("qwen3-30b-a3b"), gpus(Tier.NVIDIA_OLDER, 23.99), PLACES
    )
    assert fit.is_fitting
    assert fit.serve_args == (
        "cyankiwi/Qwen3-30B-A3B-Instruct-2507-AWQ-4bit",
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "hermes",
        "--max-model-len",
        "32768",
    )
    assert fit.serve_env == ()
    assert (fit.memory_needed_gib, fit.context_tokens, fit.tensor_parallel) == (
        22,
        32768,
        1,
    )


@pytest.mark.parametrize(
    ("memory_gib", "expected"),
    [(31.84, 32), (23.99, 24), (23.5, 24), (23.49, 23), (0.4, 0)],
)
def test_memory_is_rounded(memory_gib, expected):
    """Cards report slightly less than what they are sold with."""
    assert round_gib(memory_gib) == expected


def test_nominal_card_reaches_its_floor():
    """An RTX 5090 reports 31.84 GiB and fits a floor of 32; 31.4 GiB does not."""
    preset = find_preset("qwen36-35b-a3b")
    assert fit_preset(preset, gpus(Tier.NVIDIA_BLACKWELL, 31.84), PLACES).is_fitting
    less = fit_preset(preset, gpus(Tier.NVIDIA_BLACKWELL, 31.4), PLACES)
    assert less.reason == "needs 32 GiB, this machine has 31 GiB"
    assert less.serve_args == ()


@pytest.mark.parametrize(
    ("memory_gib", "context_tokens"),
    [(30, 32768), (47.4, 32768), (47.5, 65536), (79.2, 65536), (141, 262144)],
)
def test_largest_context_step_within_the_memory(memory_gib, context_tokens):
    """The context grows with the memory, in the steps of the preset."""
    hardware = gpus(Tier.NVIDIA_OLDER, memory_gib)
    fit = fit_preset(find_preset("qwen36-35b-a3b"), hardware, PLACES)
    assert fit.context_tokens == context_tokens
    assert value_of(fit.serve_args, "--max-model-len") == str(context_tokens)


@pytest.mark.parametrize(
    ("sizes_gib", "tensor_parallel", "context_tokens"),
    [
        # 44 GiB needed: one of 48 is enough, and then the second stays free.
        ((47.5, 47.5), 1, 8192),
        ((23.99, 23.99), 2, 8192),
        # Three of 16 would hold it, but 3 does not divide 64 heads.
        ((15.6, 15.6, 15.6, 15.6), 4, 16384),
        ((11.9,) * 8, 4, 8192),
    ],
)
def test_fewest_cards_that_hold_it(sizes_gib, tensor_parallel, context_tokens):
    """The model is shared by as few cards as hold it and can split it."""
    hardware = gpus(Tier.NVIDIA_OLDER, *sizes_gib)
    fit = fit_preset(find_preset("llama-33-70b"), hardware, PLACES)
    assert fit.tensor_parallel == tensor_parallel
    assert fit.context_tokens == context_tokens
    shared = None if tensor_parallel == 1 else str(tensor_parallel)
    assert value_of(fit.serve_args, "--tensor-parallel-size") == shared


@pytest.mark.parametrize(
    ("heads", "kv_heads", "other_heads", "tensor_parallel"),
    [
        (24, [4], [], 4),  # 3 cards: 24 heads, yes; 4 key-value heads, no
        (24, [3], [], 3),
        (24, [1], [], 3),  # every card gets a copy
        (24, [6, 3], [], 3),
        (24, [6, 4], [], None),  # one kind of layer cannot be split over 3
        (24, [3], [16], None),  # linear attention cannot be split over 3
        (24, [3], [48, 9], 3),
    ],
)
def test_rule_of_heads(heads, kv_heads, other_heads, tensor_parallel):
    """Cards divide query and other heads; key-value heads are split or copied."""
    count = 4 if tensor_parallel == 4 else 3
    preset = preset_with(heads, kv_heads, other_heads, min_gib=30)
    fit = fit_preset(preset, gpus(Tier.NVIDIA_OLDER, *[12.0] * count), PLACES)
    assert fit.tensor_parallel == tensor_parallel
    if tensor_parallel is None:
        assert fit.reason == (
            "needs 30 GiB, and its weights cannot be split over 3 cards"
        )


def test_heads_that_no_number_of_cards_divides():
    """The reason names the heads and the numbers of cards that would hold it."""
    preset = preset_with(30, [30], [], min_gib=35)
    hardware = gpus(Tier.NVIDIA_OLDER, *[5.0] * 7)
    assert fit_preset(preset, hardware, PLACES).reason == (
        "needs 35 GiB, and its 30 attention heads cannot be split over 7 cards"
    )
    hardware = gpus(Tier.NVIDIA_OLDER, *[5.0] * 9)
    assert fit_preset(preset, hardware, PLACES).reason == (
        "needs 35 GiB, and its 30 attention heads cannot be split over "
        "7 or 8 or 9 cards"
    )


def test_unequal_cards():
    """The smallest card decides how much each can hold."""
    preset = find_preset("qwen3-30b-a3b")
    fit = fit_preset(preset, gpus(Tier.NVIDIA_OLDER, 16.0, 12.0), PLACES)
    assert fit.tensor_parallel == 2
    fit = fit_preset(preset, gpus(Tier.NVIDIA_OLDER, 16.0, 8.0), PLACES)
    assert fit.reason == (
        "needs 22 GiB in equal shares, and the smallest of 2 cards has 8 GiB"
    )


def test_card_without_memory():
    """A card that reports nothing holds nothing."""
    fit = fit_preset(find_preset("tiny"), gpus(Tier.NVIDIA_OLDER, 0.2), PLACES)
    assert fit.reason == "needs 2 GiB, this machine has 0 GiB"


def test_unified_memory():
    """A DGX Spark's GPU has no memory of its own: the system's counts."""
    hardware = gpus(Tier.NVIDIA_BLACKWELL, None)
    fit = fit_preset(find_preset("qwen36-35b-a3b"), hardware, PLACES)
    assert (fit.tensor_parallel, fit.context_tokens) == (1, 262144)
    # Beside a card with memory of its own, the smaller of the two decides.
    hardware = gpus(Tier.NVIDIA_BLACKWELL, None, 24.0)
    fit = fit_preset(find_preset("qwen36-35b-a3b"), hardware, PLACES)
    assert (fit.tensor_parallel, fit.context_tokens) == (2, 131072)


@pytest.mark.parametrize(
    ("hardware", "reason"),
    [
        (
            gpus(Tier.NVIDIA_OLDER, 80.0),
            "not offered for NVIDIA GPUs older than Hopper",
        ),
        (cpu(64), "not offered for machines that serve from the CPU"),
        (
            Hardware(None, 0, 64, (), "test", ("The driver fails.", "So it is.")),
            "The driver fails. So it is",
        ),
        (Hardware(None, 0, 64, (), "test", ()), "no usable hardware was found"),
    ],
)
def test_no_configuration(hardware, reason):
    """A tier without a configuration says so; without a tier the notes speak."""
    fit = fit_preset(find_preset("gemma4-26b-a4b"), hardware, PLACES)
    assert fit.reason == reason
    assert fit.memory_needed_gib is None


def test_fp8():
    """An AMD card without FP8 is offered only what needs none."""
    hardware = gpus(Tier.AMD, 64.0, capability="gfx1100")
    fit = fit_preset(find_preset("qwen36-35b-a3b"), hardware, PLACES)
    assert fit.reason == "needs FP8, which gfx1100 (Card) does not compute"
    assert fit.memory_needed_gib == 45
    fits = fit_presets(hardware, PLACES)
    assert [fit.preset.id for fit in fits if fit.is_fitting] == [
        "qwen3-1.7b",
        "qwen3-0.6b",
        "minilm",
        "tiny",
    ]
    assert fit_preset(
        find_preset("qwen36-35b-a3b"), gpus(Tier.AMD, 64.0), PLACES
    ).is_fitting


def test_cpu_arguments_bound_the_cache():
    """On a CPU the size of the key-value cache is given, in bytes."""
    fit = fit_preset(find_preset("qwen3-0.6b"), cpu(7.7), PLACES)
    assert fit.serve_args == (
        "Qwen/Qwen3-0.6B",
        "--enforce-eager",
        "--reasoning-parser",
        "qwen3",
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "hermes",
        "--max-model-len",
        "8192",
        "--kv-cache-memory-bytes",
        "1073741824",
    )


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (gpus(Tier.NVIDIA_BLACKWELL, 31.84), "qwen36-35b-a3b"),
        (gpus(Tier.NVIDIA_BLACKWELL, 23.5), "mistral-small-32-24b"),
        (gpus(Tier.NVIDIA_BLACKWELL, 15.6), "gemma4-26b-a4b"),
        (gpus(Tier.NVIDIA_HOPPER, 79.6), "qwen36-35b-a3b"),
        (gpus(Tier.NVIDIA_OLDER, 23.99), "qwen3-30b-a3b"),
        (gpus(Tier.NVIDIA_OLDER, 8.0), "qwen3-1.7b"),
        (gpus(Tier.AMD, 191.98), "qwen36-35b-a3b"),
        (cpu(15.5), "qwen3-1.7b"),
        (cpu(7.7), "qwen3-0.6b"),
        (cpu(5), None),
        (Hardware(None, 0, 64, (), "test", ("No.",)), None),
    ],
)
def test_default_is_the_first_chat_model_that_fits(hardware, expected):
    """Neither embeddings nor the test model are ever chosen by the form itself."""
    best = best_fit(fit_presets(hardware, PLACES))
    assert (best.preset.id if best else None) == expected


def test_placeholders():
    """Folders of this machine take the place of the placeholders."""
    args = ("{local}/tiny", "--chat-template", "{templates}/a.jinja", "--seed", "1")
    assert resolve_args(args, PLACES) == (
        "/data/local-models/tiny",
        "--chat-template",
        "/vllm-workspace/examples/a.jinja",
        "--seed",
        "1",
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (frozenset({"a.jinja"}), ("m", "--chat-template", "/t/a.jinja", "--seed", "1")),
        (frozenset({"b.jinja"}), ("m", "--seed", "1")),
        (frozenset(), ("m", "--seed", "1")),
    ],
)
def test_missing_template_is_left_out(names, expected):
    """Without the file the model's own template is used: option and value go."""
    args = ("m", "--chat-template", "{templates}/a.jinja", "--seed", "1")
    assert resolve_args(args, Places(Path("/t"), Path("/l"), names)) == expected


def test_template_of_another_option_takes_nothing_with_it():
    """Only ``--chat-template`` is left out with its value."""
    places = Places(Path("/t"), Path("/l"), frozenset())
    assert resolve_args(("m", "{templates}/a.jinja"), places) == ("m",)


def test_forced_preset_keeps_its_reason():
    """Forced, it takes every card that can share it and the shortest context."""
    hardware = gpus(Tier.NVIDIA_OLDER, 8.0, 8.0, 8.0)
    fit = force_preset(find_preset("llama-33-70b"), hardware, PLACES)
    assert fit.reason == "needs 44 GiB, this machine has 24 GiB"
    assert (fit.tensor_parallel, fit.context_tokens) == (2, 8192)
    assert value_of(fit.serve_args, "--tensor-parallel-size") == "2"
    assert value_of(fit.serve_args, "--max-model-len") == "8192"


def test_forced_preset_that_fits_is_not_changed():
    """Force changes nothing about what fits anyway."""
    hardware = gpus(Tier.NVIDIA_OLDER, 23.99)
    preset = find_preset("qwen3-30b-a3b")
    assert force_preset(preset, hardware, PLACES) == fit_preset(
        preset, hardware, PLACES
    )


@pytest.mark.parametrize(
    ("hardware", "message", "hint"),
    [
        (
            cpu(64),
            (
                "Llama 3.3 70B Instruct cannot be served here: "
                "not offered for machines that serve from the CPU"
            ),
            "choose one that fits: vllm-pkg preset list",
        ),
        (
            Hardware(None, 0, 64, (), "test", ("The GPU is too old.",)),
            "Llama 3.3 70B Instruct cannot be served here: The GPU is too old",
            "no other preset fits either, see vllm-pkg hardware",
        ),
    ],
)
def test_nothing_to_force(hardware, message, hint):
    """Where there is no configuration, force has nothing to serve, nor others maybe."""
    with pytest.raises(PresetDoesNotFit) as caught:
        force_preset(find_preset("llama-33-70b"), hardware, PLACES)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_required_fit():
    """A preset that must fit gives its arguments, or an error with the reason."""
    preset = find_preset("qwen3-1.7b")
    assert require_fit(preset, cpu(16), PLACES).context_tokens == 32768
    with pytest.raises(PresetDoesNotFit) as caught:
        require_fit(preset, cpu(8), PLACES)
    assert caught.value.message == (
        "Qwen3 1.7B does not fit: needs 10 GiB, this machine has 8 GiB"
    )

"""What a machine has for a model, and what the engine itself needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.sizing_cases import (
    FULL,
    architecture,
    cpu_hardware,
    cpu_machine,
    gpu_hardware,
    gpu_machine,
)
from vllm_pkg.hardware.facts import Gpu, Hardware, Tier, Vendor
from vllm_pkg.models.sizing.arguments import ServeArguments
from vllm_pkg.models.sizing.machine import GIB, Card, describe_machine
from vllm_pkg.models.sizing.reserve import Step, plan_step, reserve_bytes
from vllm_pkg.models.sizing.unknown import NotKnown

MODEL = architecture(FULL, FULL)
MIB = 1024**2


def test_gpus_with_their_free_memory():
    """Each GPU counts with what is free on it."""
    found = describe_machine(gpu_hardware(24, 24, free_gib=20.0))
    assert found.cards == (Card(24 * GIB, 20 * GIB),) * 2
    assert (found.is_cpu, found.is_free_known, found.name) == (False, True, "A GPU")


def test_what_a_running_engine_will_give_back():
    """A card gets back what is named for it, and no more than it has."""
    hardware = gpu_hardware(24, 24, 24, free_gib=4.0)
    found = describe_machine(hardware, (18.0, 99.0))
    assert [card.free_bytes for card in found.cards] == [22 * GIB, 24 * GIB, 4 * GIB]
    (main,) = describe_machine(cpu_hardware(), (3.0,)).cards
    assert main.free_bytes == 23 * GIB


def test_free_memory_that_is_not_known():
    """Where no driver tells what is free, all counts, and that is told."""
    found = describe_machine(gpu_hardware(24))
    assert found.cards == (Card(24 * GIB, 24 * GIB),)
    assert not found.is_free_known


@pytest.mark.parametrize(
    ("free_gib", "card"),
    [(20.0, Card(24 * GIB, 20 * GIB)), (None, Card(24 * GIB, 24 * GIB))],
)
def test_the_main_memory_is_the_card_of_a_cpu(free_gib, card):
    """Without GPUs the main memory is the one card."""
    found = describe_machine(cpu_hardware(free_gib=free_gib))
    assert found.cards == (card,)
    assert found.is_cpu
    assert found.is_free_known is (free_gib is not None)


def test_a_gpu_that_shares_the_main_memory():
    """A GB10 has the main memory, free as that is."""
    gpu = Gpu(Vendor.NVIDIA, 0, "GB10", "12.1", None)
    found = describe_machine(
        Hardware(Tier.NVIDIA_BLACKWELL, 119, 119, (gpu,), "", (), system_free_gib=100.0)
    )
    assert found.cards == (Card(119 * GIB, 100 * GIB),)
    assert found.is_free_known


@pytest.mark.parametrize(
    ("vendor", "capability", "expected"),
    [
        (Vendor.NVIDIA, "8.6", False),
        (Vendor.NVIDIA, "8.9", True),
        (Vendor.NVIDIA, "9.0", True),
        (Vendor.NVIDIA, "12.0", True),
        (Vendor.AMD, "gfx942", True),
        (Vendor.AMD, "gfx90a", False),
    ],
)
def test_which_cards_keep_a_cache_in_eight_bits(vendor, capability, expected):
    """From compute capability 8.9 on, and on AMD cards that compute FP8."""
    gpu = Gpu(vendor, 0, "Card", capability, 24.0)
    tier = gpu.tier
    found = describe_machine(Hardware(tier, 24, 64, (gpu,), "", ()))
    assert found.has_fp8_cache is expected


def test_a_machine_that_serves_nothing():
    """Without a usable engine or a known memory nothing can be said."""
    none = Hardware(None, 0, 64, (), "", ("The driver fails.",))
    with pytest.raises(NotKnown, match="be served here: The driver fails"):
        describe_machine(none)
    with pytest.raises(NotKnown, match="no usable hardware"):
        describe_machine(replace(none, notes=()))
    with pytest.raises(NotKnown, match="memory of this machine"):
        describe_machine(cpu_hardware(total_gib=0.0))


def test_what_a_process_takes_before_anything():
    """A context on each GPU, and connections among several; nothing on the CPU."""
    machine = gpu_machine(24)
    assert machine.overhead_bytes(1) == GIB // 2
    assert machine.overhead_bytes(2) == GIB
    assert cpu_machine().overhead_bytes(1) == 0


@pytest.mark.parametrize(
    ("machine", "arguments", "expected"),
    [
        (gpu_machine(24), ServeArguments(), Step(2048, 256)),
        (gpu_machine(80), ServeArguments(), Step(8192, 1024)),
        (gpu_machine(180), ServeArguments(), Step(16384, 1024)),
        (
            replace(gpu_machine(80), name="NVIDIA A100"),
            ServeArguments(),
            Step(2048, 256),
        ),
        (cpu_machine(), ServeArguments(), Step(2048, 128)),
        (gpu_machine(24), ServeArguments(sequences=2), Step(2048, 2)),
        (gpu_machine(24), ServeArguments(batched_tokens=100), Step(100, 100)),
    ],
)
def test_how_much_is_done_at_once(machine, arguments, expected):
    """The choice is vLLM's, by the card's size and name; what is given counts."""
    assert plan_step(arguments, machine, 32768) == expected


def test_a_step_is_no_longer_than_all_sequences():
    """Two sequences of 100 tokens make no step of more than 200."""
    found = plan_step(ServeArguments(sequences=2), gpu_machine(24), 100)
    assert found == Step(200, 2)


@pytest.mark.parametrize(
    ("machine", "arguments", "expected"),
    [
        # 1000 tokens of 4 x 1024 + 3 x 4096 numbers; 10 x 32000 x 12 bytes of logits.
        (
            gpu_machine(24),
            ServeArguments(is_eager=True),
            1000 * 16384 * 2 + 3840000,
        ),
        (
            gpu_machine(24),
            ServeArguments(),
            1000 * 16384 * 2 + 3840000 + GIB * 3 // 10 + 24 * MIB,
        ),
        (
            gpu_machine(24, 24),
            ServeArguments(is_eager=True, cards=2),
            1000 * 10240 * 2 + 3840000,
        ),
        (
            cpu_machine(),
            ServeArguments(),
            1000 * 16384 * 2 + 3840000 + GIB * 22 // 10,
        ),
    ],
)
def test_what_is_needed_beside_weights_and_cache(machine, arguments, expected):
    """Activations, logits, graphs on GPUs and the programs on the CPU add up."""
    assert reserve_bytes(MODEL, arguments, machine, Step(1000, 10), 2) == expected

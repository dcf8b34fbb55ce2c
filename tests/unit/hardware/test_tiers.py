"""The decisions about tier, memory and notes, case by case."""

from __future__ import annotations

import pytest

from vllm_pkg.hardware.facts import Gpu, Hardware, Tier, Vendor
from vllm_pkg.hardware.tiers import classify, computes_fp8
from vllm_pkg.settings_table import Variant

SYSTEM_GIB = 64.0
RTX_4090 = Gpu(Vendor.NVIDIA, 0, "RTX 4090", "8.9", 24.0)
GTX_1080 = Gpu(Vendor.NVIDIA, 1, "GTX 1080", "6.1", 8.0)
H100 = Gpu(Vendor.NVIDIA, 2, "H100", "9.0", 80.0)
RTX_5090 = Gpu(Vendor.NVIDIA, 3, "RTX 5090", "12.0", 32.0)
GB10 = Gpu(Vendor.NVIDIA, 4, "GB10", "12.1", None)
MI300X = Gpu(Vendor.AMD, 0, "MI300X", "gfx942", 192.0)
MI210 = Gpu(Vendor.AMD, 1, "MI210", "gfx90a", 64.0)
IGPU = Gpu(Vendor.AMD, 2, "Radeon Graphics", "gfx1036", 0.5)
RX_580 = Gpu(Vendor.AMD, 3, "RX 580", "gfx803", 8.0)


def look(*gpus: Gpu, variant: Variant | None = None) -> Hardware:
    """Classify some GPUs in a machine with 64 GiB."""
    return classify(gpus, SYSTEM_GIB, "nvml", variant=variant)


@pytest.mark.parametrize(
    ("capability", "tier"),
    [
        ("7.5", None),
        ("8.0", Tier.NVIDIA_OLDER),
        ("8.9", Tier.NVIDIA_OLDER),
        ("9.0", Tier.NVIDIA_HOPPER),
        ("10.0", Tier.NVIDIA_BLACKWELL),
        ("10.3", Tier.NVIDIA_BLACKWELL),
        ("11.0", Tier.NVIDIA_BLACKWELL),
        ("12.0", Tier.NVIDIA_BLACKWELL),
        ("12.1", Tier.NVIDIA_BLACKWELL),
        ("13.0", None),
        ("", None),
        ("8", None),
        ("8.9.0", None),
    ],
)
def test_the_compute_capability_makes_the_tier(capability, tier):
    """Each NVIDIA compute capability makes the tier of the mission's table."""
    assert look(Gpu(Vendor.NVIDIA, 0, "X", capability, 24.0)).tier is tier


@pytest.mark.parametrize(
    ("target", "tier", "fp8"),
    [
        ("gfx803", None, False),
        ("gfx906", None, False),
        ("gfx908", None, False),
        ("gfx90a", Tier.AMD, False),
        ("gfx90c", Tier.CPU, False),
        ("gfx942", Tier.AMD, True),
        ("gfx950", Tier.AMD, True),
        ("gfx1030", None, False),
        ("gfx1035", Tier.CPU, False),
        ("gfx1036", Tier.CPU, False),
        ("gfx1100", Tier.AMD, False),
        ("gfx1101", Tier.AMD, False),
        ("gfx1102", None, False),
        ("gfx1103", Tier.CPU, False),
        ("gfx1150", Tier.CPU, False),
        ("gfx1151", Tier.CPU, False),
        ("gfx1200", Tier.AMD, True),
        ("gfx1201", Tier.AMD, True),
        ("", None, False),
    ],
)
def test_the_graphics_target_makes_the_tier(target, tier, fp8):
    """Each AMD target is used, integrated, or refused, and computes FP8 or not."""
    assert look(Gpu(Vendor.AMD, 0, "X", target, 24.0)).tier is tier
    assert computes_fp8(target) is fp8


def test_no_gpu_is_the_cpu_tier():
    """A machine without GPUs is the CPU tier with the system's memory."""
    hardware = look()
    assert (hardware.tier, hardware.memory_gib) == (Tier.CPU, 64.0)
    assert hardware.notes == ()


def test_only_the_usable_gpus_count():
    """Beside a usable GPU, one that is too old is left out and named."""
    hardware = look(GTX_1080, RTX_4090)
    assert (hardware.tier, hardware.memory_gib) == (Tier.NVIDIA_OLDER, 24.0)
    assert hardware.accelerators == (RTX_4090,)
    assert hardware.gpus == (GTX_1080, RTX_4090)
    assert hardware.notes == (
        (
            "GTX 1080 has compute capability 6.1; 8.0 is the least that the presets "
            "need, so it is not used."
        ),
    )


@pytest.mark.parametrize(
    ("gpus", "tier", "memory_gib"),
    [
        ((RTX_5090, RTX_4090), Tier.NVIDIA_OLDER, 56.0),
        ((H100, RTX_5090), Tier.NVIDIA_HOPPER, 112.0),
    ],
)
def test_a_mixed_machine_is_its_oldest_class(gpus, tier, memory_gib):
    """GPUs of two classes are used together, with the presets that both can run."""
    hardware = look(*gpus)
    assert (hardware.tier, hardware.memory_gib) == (tier, memory_gib)
    assert hardware.notes == (
        (
            f"The GPUs are of different classes; the presets are those of "
            f"{tier.value}, which all of them can run."
        ),
    )


def test_nvidia_comes_before_an_integrated_gpu():
    """An NVIDIA GPU makes the tier, and the integrated one beside it is named."""
    hardware = look(IGPU, H100)
    assert (hardware.tier, hardware.memory_gib) == (Tier.NVIDIA_HOPPER, 80.0)
    assert hardware.notes == (
        (
            "Radeon Graphics (gfx1036) is an integrated GPU and is not used; the AMD "
            "presets need a discrete one."
        ),
    )


def test_two_vendors_are_not_used_together():
    """Of two usable vendors NVIDIA's GPUs are used, unless the engine is AMD's."""
    both = look(MI300X, H100)
    assert both.accelerators == (H100,)
    assert both.notes == ("MI300X is not used beside H100.",)
    rocm = look(MI300X, H100, variant=Variant.ROCM)
    assert (rocm.tier, rocm.memory_gib) == (Tier.AMD, 192.0)
    assert rocm.accelerators == (MI300X,)
    assert rocm.notes == ("H100 is not used: the engine is built for AMD.",)
    nvidia = look(MI300X, H100, variant=Variant.NVIDIA)
    assert nvidia.notes == ("MI300X is not used: the engine is built for NVIDIA.",)


def test_a_gpu_without_fp8_is_used_and_named():
    """AMD GPUs with and without FP8 are all used; the notes name the ones without."""
    hardware = look(MI300X, MI210)
    assert hardware.accelerators == (MI300X, MI210)
    assert hardware.notes == (
        (
            "MI210 (gfx90a) does not compute FP8, which the AMD presets need; that "
            "takes an MI300 or newer, or a Radeon RX 9000."
        ),
    )


def test_an_unusable_gpu_is_not_taken_for_no_gpu():
    """A GPU that cannot be used gives no tier, with the reason and the way out."""
    hardware = look(RX_580)
    assert (hardware.tier, hardware.memory_gib) == (None, 0.0)
    assert hardware.accelerators == ()
    assert hardware.notes == (
        (
            "RX 580 (gfx803) is not used: the engine is built for gfx90a, gfx942, "
            "gfx950, gfx1100, gfx1101, gfx1200, gfx1201."
        ),
        (
            "Because of this no preset is offered; to serve from the CPU all the same, "
            "set VLLM_PKG_VARIANT to cpu."
        ),
    )


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        (Gpu(Vendor.NVIDIA, 0, "New", "13.0", 99.0), "does not know yet; update"),
        (Gpu(Vendor.NVIDIA, 0, "Odd", "", 8.0), "compute capability is not known"),
        (Gpu(Vendor.AMD, 0, "Odd", "", 8.0), "Odd (target not known) is not used"),
    ],
)
def test_a_gpu_that_is_not_known_is_explained(gpu, words):
    """A GPU newer than the package, or without a figure, is named with the reason."""
    assert words in look(gpu).notes[0]


def test_shared_memory_counts_once():
    """Two GPUs that share the system's memory do not count it twice."""
    assert look(GB10).memory_gib == 64.0
    assert look(GB10, GB10).memory_gib == 64.0
    assert look(GB10, RTX_5090).memory_gib == 96.0


def test_the_same_sentence_is_said_once():
    """Equal GPUs that are not used make one note, not one each."""
    twin = Gpu(Vendor.NVIDIA, 9, "GTX 1080", "6.1", 8.0)
    assert len(look(GTX_1080, twin, RTX_4090).notes) == 1


def test_a_failed_probe_is_not_taken_for_no_gpu():
    """A driver that fails gives no tier, unless another GPU can be used."""
    failed = classify((), 64.0, "proc", ["Before."], probe_failures=["It failed."])
    assert failed.tier is None
    assert failed.notes[:2] == ("Before.", "It failed.")
    assert failed.probe_failures == ("It failed.",)
    other = classify((H100,), 64.0, "nvml", probe_failures=["It failed."])
    assert other.tier is Tier.NVIDIA_HOPPER
    assert other.notes == ("It failed.",)

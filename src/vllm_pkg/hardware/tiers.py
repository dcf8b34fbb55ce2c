"""
Which tier a machine is, how much memory counts, and why a GPU is not used.

Pure: values in, values out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.hardware.facts import NVIDIA_TIERS, Gpu, Hardware, Tier, Vendor
from vllm_pkg.hardware.gfx import ENGINE_TARGETS, FP8_TARGETS, INTEGRATED_TARGETS
from vllm_pkg.settings_table import Variant, environment_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_VENDOR_OF_VARIANT: Final = {
    Variant.NVIDIA: Vendor.NVIDIA,
    Variant.ROCM: Vendor.AMD,
}
_DISPLAYED: Final = {Vendor.NVIDIA: "NVIDIA", Vendor.AMD: "AMD"}
# What runs on an older class runs on a newer one, so a mixed machine is its oldest.
_OLDEST_FIRST: Final = (
    Tier.NVIDIA_OLDER,
    Tier.NVIDIA_HOPPER,
    Tier.NVIDIA_BLACKWELL,
    Tier.AMD,
)


def classify(
    gpus: Sequence[Gpu],
    system_memory_gib: float,
    source: str,
    notes: Sequence[str] = (),
    *,
    variant: Variant | None = None,
    probe_failures: Sequence[str] = (),
    system_free_gib: float | None = None,
) -> Hardware:
    """
    Decide what a machine is from what was found on it.

    Args:
        gpus: Every GPU that was found.
        system_memory_gib: Main memory in GiB, limits of a container applied.
        source: Where the facts come from.
        notes: Sentences to carry along, before those that the decision adds.
        variant: Which engine is installed, and so whose GPUs can be used; None when
            that is not known, and every vendor's can.
        probe_failures: What drivers answered instead of their GPUs.
        system_free_gib: Main memory that a program could have now, if known.
    Returns:
        The machine. Its tier is ``cpu`` only when no GPU stands in its way: a GPU
        that cannot be used, a driver that fails, or an engine built for GPUs alone
        gives None, with the reason in the notes.
    """
    used = _used(gpus, variant)
    tier = _tier(gpus, used, variant, probe_failures)
    all_notes = (
        *notes,
        *probe_failures,
        *_about_unused(gpus, used, variant),
        *_about_used(used, tier, system_memory_gib),
        *_about_no_tier(tier, variant),
    )
    return Hardware(
        tier=tier,
        memory_gib=_memory_gib(used, tier, system_memory_gib),
        system_memory_gib=system_memory_gib,
        gpus=tuple(gpus),
        source=source,
        notes=tuple(dict.fromkeys(all_notes)),
        probe_failures=tuple(probe_failures),
        system_free_gib=system_free_gib,
    )


def computes_fp8(gfx_target: str) -> bool:
    """
    Whether an AMD GPU computes FP8, which the AMD presets need.

    Args:
        gfx_target: Such as ``gfx942``.
    """
    return gfx_target in FP8_TARGETS


def _used(gpus: Sequence[Gpu], variant: Variant | None) -> tuple[Gpu, ...]:
    usable = [gpu for gpu in gpus if gpu.tier is not None and _allows(variant, gpu)]
    # One engine drives one vendor's GPUs; NVIDIA's come first.
    for vendor in (Vendor.NVIDIA, Vendor.AMD):
        of_vendor = tuple(gpu for gpu in usable if gpu.vendor is vendor)
        if of_vendor:
            return of_vendor
    return ()


def _allows(variant: Variant | None, gpu: Gpu) -> bool:
    return variant is None or _VENDOR_OF_VARIANT.get(variant) is gpu.vendor


def _tier(
    gpus: Sequence[Gpu],
    used: tuple[Gpu, ...],
    variant: Variant | None,
    probe_failures: Sequence[str],
) -> Tier | None:
    if variant is Variant.CPU:
        return Tier.CPU
    if used:
        present = {gpu.tier for gpu in used}
        return next(tier for tier in _OLDEST_FIRST if tier in present)
    if variant is not None or probe_failures:
        return None
    return Tier.CPU if all(_is_integrated(gpu) for gpu in gpus) else None


def _is_integrated(gpu: Gpu) -> bool:
    return gpu.vendor is Vendor.AMD and gpu.compute_capability in INTEGRATED_TARGETS


def _memory_gib(
    used: tuple[Gpu, ...], tier: Tier | None, system_memory_gib: float
) -> float:
    if tier is Tier.CPU:
        return system_memory_gib
    own_gib = sum(gpu.memory_gib for gpu in used if gpu.memory_gib is not None)
    shares_system = any(gpu.memory_gib is None for gpu in used)
    return own_gib + (system_memory_gib if shares_system else 0.0)


def _about_unused(
    gpus: Sequence[Gpu], used: tuple[Gpu, ...], variant: Variant | None
) -> list[str]:
    if variant is Variant.CPU:
        return ["The CPU engine is installed, so GPUs are not used."]
    return [_why_not(gpu, used, variant) for gpu in gpus if gpu not in used]


def _why_not(gpu: Gpu, used: tuple[Gpu, ...], variant: Variant | None) -> str:
    if not _allows(variant, gpu):
        other = Vendor.AMD if gpu.vendor is Vendor.NVIDIA else Vendor.NVIDIA
        return f"{gpu.name} is not used: the engine is built for {_DISPLAYED[other]}."
    if gpu.tier is not None:
        return f"{gpu.name} is not used beside {used[0].name}."
    if gpu.vendor is Vendor.AMD:
        return _why_not_amd(gpu)
    return _why_not_nvidia(gpu)


def _why_not_nvidia(gpu: Gpu) -> str:
    if gpu.major is None:
        return f"{gpu.name} is not used: its compute capability is not known."
    told = f"{gpu.name} has compute capability {gpu.compute_capability}"
    if gpu.major > max(NVIDIA_TIERS):
        return f"{told}, which this version does not know yet; update the package."
    return f"{told}; 8.0 is the least that the presets need, so it is not used."


def _why_not_amd(gpu: Gpu) -> str:
    target = gpu.compute_capability or "target not known"
    if _is_integrated(gpu):
        return (
            f"{gpu.name} ({target}) is an integrated GPU and is not used; "
            "the AMD presets need a discrete one."
        )
    return (
        f"{gpu.name} ({target}) is not used: the engine is built for "
        f"{', '.join(ENGINE_TARGETS)}."
    )


def _about_used(
    used: tuple[Gpu, ...], tier: Tier | None, system_memory_gib: float
) -> list[str]:
    told = []
    if len({gpu.tier for gpu in used}) > 1:
        told.append(
            f"The GPUs are of different classes; the presets are those of {tier}, "
            "which all of them can run."
        )
    told.extend(
        f"{gpu.name} has no memory of its own; the system's {system_memory_gib:.1f} "
        "GiB count."
        for gpu in used
        if gpu.memory_gib is None
    )
    told.extend(
        f"{gpu.name} ({gpu.compute_capability}) does not compute FP8, which the AMD "
        "presets need; that takes an MI300 or newer, or a Radeon RX 9000."
        for gpu in used
        if gpu.vendor is Vendor.AMD and not computes_fp8(gpu.compute_capability)
    )
    return told


def _about_no_tier(tier: Tier | None, variant: Variant | None) -> list[str]:
    if tier is not None:
        return []
    if variant is None:
        setting = environment_name("variant")
        told = (
            "Because of this no preset is offered; to serve from the CPU all the same, "
            f"set {setting} to cpu."
        )
        return [told]
    vendor = _DISPLAYED[_VENDOR_OF_VARIANT[variant]]
    return [f"The engine is built for {vendor} GPUs, and none that it can use is here."]

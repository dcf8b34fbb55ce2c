"""
The facts about a machine: its GPUs, its memory, and the tier they make.

Values only; `vllm_pkg.hardware.tiers` decides, `vllm_pkg.hardware.detect` looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from vllm_pkg.hardware.gfx import ENGINE_TARGETS


class Vendor(StrEnum):
    """Who made a GPU."""

    NVIDIA = "nvidia"
    AMD = "amd"


class Tier(StrEnum):
    """The class of machine that a preset is made for."""

    NVIDIA_BLACKWELL = "nvidia-blackwell"
    NVIDIA_HOPPER = "nvidia-hopper"
    NVIDIA_OLDER = "nvidia-older"
    AMD = "amd"
    CPU = "cpu"


# 11.x is Jetson Thor, a Blackwell that older toolkits called 10.1.
NVIDIA_TIERS: Final = {
    8: Tier.NVIDIA_OLDER,
    9: Tier.NVIDIA_HOPPER,
    10: Tier.NVIDIA_BLACKWELL,
    11: Tier.NVIDIA_BLACKWELL,
    12: Tier.NVIDIA_BLACKWELL,
}
VENDOR_OF_TIER: Final = {
    Tier.NVIDIA_BLACKWELL: Vendor.NVIDIA,
    Tier.NVIDIA_HOPPER: Vendor.NVIDIA,
    Tier.NVIDIA_OLDER: Vendor.NVIDIA,
    Tier.AMD: Vendor.AMD,
}
_COMPUTE_CAPABILITY: Final = re.compile(r"([0-9]{1,3})\.[0-9]{1,3}")


@dataclass(frozen=True)
class Gpu:
    """
    One GPU as its driver describes it.

    Args:
        vendor: Who made it.
        index: Its number among the GPUs of that vendor, from 0.
        name: Its name on the market.
        compute_capability: Such as ``9.0``; for AMD the graphics target, ``gfx942``.
        memory_gib: Its own memory in GiB; None when it shares the system's.
        free_gib: How much of its own memory nobody uses now, in GiB; None when that is
            not known.
    """

    vendor: Vendor
    index: int
    name: str
    compute_capability: str
    memory_gib: float | None
    free_gib: float | None = None

    @property
    def major(self) -> int | None:
        """The first number of an NVIDIA compute capability, or None."""
        match = _COMPUTE_CAPABILITY.fullmatch(self.compute_capability)
        return int(match[1]) if match else None

    @property
    def tier(self) -> Tier | None:
        """The tier that this GPU alone would make; None when it cannot be used."""
        if self.vendor is Vendor.AMD:
            return Tier.AMD if self.compute_capability in ENGINE_TARGETS else None
        return None if self.major is None else NVIDIA_TIERS.get(self.major)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, memory in GiB with two decimals."""
        document: dict[str, Any] = {
            "vendor": self.vendor.value,
            "index": self.index,
            "name": self.name,
            "compute_capability": self.compute_capability,
            "memory_gib": None
            if self.memory_gib is None
            else round(self.memory_gib, 2),
        }
        if self.free_gib is not None:
            document["free_gib"] = round(self.free_gib, 2)
        return document


@dataclass(frozen=True)
class Hardware:
    """
    What a machine has for serving models.

    Args:
        tier: Which presets are made for it; None when GPUs are there and none of them
            can be used, which must not look like a machine without GPUs.
        memory_gib: Memory for models in GiB: the sum over ``accelerators``, or the
            system's on the CPU tier and where GPUs share it; 0 without a tier.
        system_memory_gib: Main memory in GiB, or the container's limit if lower.
        gpus: Every GPU that was found, used or not.
        source: Where the facts come from, such as ``nvml`` or ``recorded``.
        notes: Sentences for people: what is not used, and why.
        probe_failures: What a driver answered instead of its GPUs, one sentence each.
        system_free_gib: Main memory that a program could have now, in GiB; None when
            that is not known.
        unseen: Whose GPUs may be here and could not be looked at.
        has_amx: Whether the CPU has AMX.
    """

    tier: Tier | None
    memory_gib: float
    system_memory_gib: float
    gpus: tuple[Gpu, ...]
    source: str
    notes: tuple[str, ...]
    probe_failures: tuple[str, ...] = ()
    system_free_gib: float | None = None
    unseen: tuple[Vendor, ...] = ()
    has_amx: bool = False

    @property
    def accelerators(self) -> tuple[Gpu, ...]:
        """The GPUs that the tier uses: the ones whose memory is summed."""
        if self.tier is None or self.tier is Tier.CPU:
            return ()
        vendor = VENDOR_OF_TIER[self.tier]
        return tuple(
            gpu for gpu in self.gpus if gpu.vendor is vendor and gpu.tier is not None
        )

    def as_json(self) -> dict[str, Any]:
        """Return the document that ``vllm-pkg hardware --json`` prints."""
        document: dict[str, Any] = {
            "tier": None if self.tier is None else self.tier.value,
            "memory_gib": round(self.memory_gib, 2),
            "system_memory_gib": round(self.system_memory_gib, 2),
            "gpus": [gpu.as_json() for gpu in self.gpus],
            "source": self.source,
            "notes": list(self.notes),
        }
        if self.system_free_gib is not None:
            document["system_free_gib"] = round(self.system_free_gib, 2)
        if self.probe_failures:
            document["probe_failures"] = list(self.probe_failures)
        return document

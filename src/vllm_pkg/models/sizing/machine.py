"""
What a machine has for one model: memory per card, in total and free. Pure.

On the CPU the machine counts as one card, with the main memory as its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.hardware.facts import Vendor
from vllm_pkg.hardware.tiers import computes_fp8
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.hardware.facts import Gpu, Hardware

GIB: Final = 1024**3
# Before vLLM measures, a process on a GPU has taken this for the driver's context;
# cards that work together take more for their connections.
CONTEXT_BYTES: Final = GIB // 2
CONNECTIONS_BYTES: Final = GIB // 2
_FP8_FROM: Final = (8, 9)


@dataclass(frozen=True)
class Card:
    """
    One card.

    Args:
        total_bytes: Its memory.
        free_bytes: What of it nobody uses now.
    """

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Machine:
    """
    The cards that a model could use.

    Args:
        cards: In the order in which vLLM takes them.
        is_cpu: Whether the one card is the main memory.
        has_fp8_cache: Whether the cards can keep a KV cache in 8 bits.
        name: What the first card is called.
        is_free_known: Whether free memory was measured; else all of it counts as free.
        has_amx: Whether the CPU has AMX.
    """

    cards: tuple[Card, ...]
    is_cpu: bool
    has_fp8_cache: bool
    name: str
    is_free_known: bool
    has_amx: bool = False

    def overhead_bytes(self, cards: int) -> int:
        """Return what a card has given away before vLLM measures its free memory."""
        if self.is_cpu:
            return 0
        return CONTEXT_BYTES + (CONNECTIONS_BYTES if cards > 1 else 0)


def describe_machine(hardware: Hardware, returned_gib: Sequence[float] = ()) -> Machine:
    """
    Return what a machine has for models.

    Args:
        hardware: The machine.
        returned_gib: What each card will get back before the model starts, because
            the engine that runs now ends; nothing for further cards.
    Raises:
        NotKnown: no engine runs on it, or its memory is not known.
    """
    if hardware.tier is None:
        told = " ".join(hardware.notes) or "no usable hardware was found"
        raise NotKnown(f"nothing can be served here: {told.rstrip('.')}")
    gpus = hardware.accelerators
    if hardware.system_memory_gib <= 0:
        raise NotKnown("the memory of this machine is not known")
    if not gpus:
        return Machine(
            cards=(_with(_system_card(hardware), 0, returned_gib),),
            is_cpu=True,
            has_fp8_cache=False,
            name="the main memory",
            is_free_known=hardware.system_free_gib is not None,
            has_amx=hardware.has_amx,
        )
    return Machine(
        cards=tuple(
            _with(_card(gpu, hardware), position, returned_gib)
            for position, gpu in enumerate(gpus)
        ),
        is_cpu=False,
        has_fp8_cache=all(_has_fp8_cache(gpu) for gpu in gpus),
        name=gpus[0].name,
        is_free_known=all(_is_free_known(gpu, hardware) for gpu in gpus),
    )


def _with(card: Card, position: int, returned_gib: Sequence[float]) -> Card:
    """Return a card with what it will get back."""
    returned = sum(returned_gib[position : position + 1])
    free = min(card.total_bytes, card.free_bytes + _bytes(returned))
    return Card(card.total_bytes, free)


def _system_card(hardware: Hardware) -> Card:
    total = hardware.system_memory_gib
    free = hardware.system_free_gib
    return Card(_bytes(total), _bytes(total if free is None else free))


def _card(gpu: Gpu, hardware: Hardware) -> Card:
    if gpu.memory_gib is None:
        # It shares the system's memory, all of which vLLM may take.
        return _system_card(hardware)
    free = gpu.memory_gib if gpu.free_gib is None else gpu.free_gib
    return Card(_bytes(gpu.memory_gib), _bytes(free))


def _is_free_known(gpu: Gpu, hardware: Hardware) -> bool:
    if gpu.memory_gib is None:
        return hardware.system_free_gib is not None
    return gpu.free_gib is not None


def _has_fp8_cache(gpu: Gpu) -> bool:
    if gpu.vendor is Vendor.AMD:
        return computes_fp8(gpu.compute_capability)
    major, _, minor = gpu.compute_capability.partition(".")
    return (int(major), int(minor)) >= _FP8_FROM


def _bytes(size_gib: float) -> int:
    return round(size_gib * GIB)

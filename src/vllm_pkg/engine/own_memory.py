"""
What the engine that runs now will give back when it ends.

Whether another model fits depends on what is free once this one is gone: the engine is
restarted, never run beside it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine import processes
from vllm_pkg.hardware.facts import Vendor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import psutil

    from vllm_pkg.engine.gpu_memory import Nvml
    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.settings import Settings

_BYTES_PER_GIB: Final = 1024**3


def own_memory_gib(settings: Settings, hardware: Hardware) -> tuple[float, ...]:
    """
    Return what this instance's engine holds, per accelerator, in their order.

    Args:
        settings: Which instance it is.
        hardware: The machine; without an accelerator, its main memory counts as one.
    Returns:
        GiB; nothing where no engine runs, or nobody tells: AMD's driver library, and a
        recorded machine, which is another one.
    """
    if settings.hardware_file is not None:
        return ()
    found = processes.find_engine_processes(processes.instance_id(settings.main))
    if not found:
        return ()
    cards = hardware.accelerators
    if not cards or any(card.memory_gib is None for card in cards):
        return (_main_memory_gib(found),)
    if any(card.vendor is not Vendor.NVIDIA for card in cards):
        return ()
    import pynvml  # noqa: PLC0415  # commands that need no GPU stay fast

    pids = {process.pid for process in found}
    return _of_gpus(pynvml, [card.index for card in cards], pids)


def _main_memory_gib(found: Sequence[psutil.Process]) -> float:
    import psutil  # noqa: PLC0415

    size_bytes = 0
    for process in found:
        with suppress(psutil.Error):
            # What nobody else uses: libraries that they share would count twice.
            size_bytes += process.memory_full_info().uss
    return size_bytes / _BYTES_PER_GIB


def _of_gpus(
    nvml: Nvml, indices: Sequence[int], pids: Collection[int]
) -> tuple[float, ...]:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        return tuple(_of_gpu(nvml, index, pids) for index in indices)
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _of_gpu(nvml: Nvml, index: int, pids: Collection[int]) -> float:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return 0.0
    sizes = [item.usedGpuMemory or 0 for item in running if item.pid in pids]
    return sum(sizes) / _BYTES_PER_GIB

"""
Waiting until NVIDIA GPUs have given back the memory of processes that have ended.

A driver frees it a moment after the process is gone. vLLM measures free memory once,
when it starts, and fails if there is too little: the start waits, or says who has it.
Source: NVML, nvmlDeviceGetComputeRunningProcesses. In a container its process ids may
be the host's, so that ours are not found in it: the memory itself is watched too.
"""

# ruff: noqa: N802, D102  # the names are NVML's, and so are their meanings

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from vllm_pkg.settings_table import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from vllm_pkg.clock import Clock
    from vllm_pkg.settings import Settings

WAIT_MAX_S: Final = 15.0
POLL_S: Final = 0.5
HOLDER_MARK: Final = "GPU memory is held by"
# Less is the driver's own, or a desktop's, and keeps no engine from starting.
_NOTICED_GIB: Final = 0.5
_BYTES_PER_GIB: Final = 1024**3
_PROC: Final = Path("/proc")


@dataclass(frozen=True)
class Holder:
    """
    A process that has memory of a GPU.

    Args:
        pid: Its id, as the driver knows it.
        memory_gib: How much, in GiB; None when the driver does not tell.
    """

    pid: int
    memory_gib: float | None


@dataclass(frozen=True)
class GpuMemory:
    """
    The memory of all GPUs at one moment.

    Args:
        used_bytes: In use, by whomever.
        holders: Who has it, as far as the driver tells.
    """

    used_bytes: int
    holders: tuple[Holder, ...]


class Nvml(Protocol):
    """The part of the binding that is used, with the names that NVML gave it."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...
    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]: ...


def is_free(before: GpuMemory, now: GpuMemory, ended: Collection[int]) -> bool:
    """
    Decide whether ended processes have given their memory back.

    Args:
        before: The look before this one.
        now: This look.
        ended: Ids of processes that have ended.
    """
    is_listed = any(holder.pid in ended for holder in now.holders)
    return not is_listed and now.used_bytes >= before.used_bytes


def describe_holders(
    memory: GpuMemory, name_of: Callable[[int], str]
) -> tuple[str, ...]:
    """Return one line for each process that holds enough memory to matter."""
    return tuple(
        f"{HOLDER_MARK} process {holder.pid} ({name_of(holder.pid)}):"
        + (" unknown size" if size is None else f" {size:.1f} GiB")
        for holder in memory.holders
        if (size := holder.memory_gib) is None or size >= _NOTICED_GIB
    )


def wait_for_memory(
    settings: Settings,
    ended: Collection[int],
    clock: Clock,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """
    Wait until the GPUs have given back what ended processes had.

    Args:
        settings: Which engine is installed; only NVIDIA's is waited for.
        ended: Processes of this instance that have been ended just now.
        clock: For the limit.
        sleep: Waits so many seconds.
    Returns:
        One line per process that holds memory of a GPU now; nothing without a driver.
    """
    if settings.variant not in {None, Variant.NVIDIA} or settings.hardware_file:
        return ()
    import pynvml  # noqa: PLC0415  # commands that need no GPU stay fast

    nvml: Nvml = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        # Whoever shows the hardware tells why; here there is nothing to wait for.
        return ()
    try:
        memory = _wait(nvml, ended, clock, sleep)
    except nvml.NVMLError:
        return ()
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
    return describe_holders(memory, process_name)


def process_name(pid: int, proc: Path = _PROC) -> str:
    """Return the name of a process; of one that we cannot see, that it is elsewhere."""
    try:
        return (proc / str(pid) / "comm").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "outside this container, or ended"


def _wait(
    nvml: Nvml, ended: Collection[int], clock: Clock, sleep: Callable[[float], None]
) -> GpuMemory:
    deadline_s = clock.now_s() + WAIT_MAX_S
    now = _read(nvml)
    while ended and clock.now_s() < deadline_s:
        before = now
        sleep(POLL_S)
        now = _read(nvml)
        if is_free(before, now, ended):
            break
    return now


def _read(nvml: Nvml) -> GpuMemory:
    used_bytes = 0
    holders = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            used_bytes += nvml.nvmlDeviceGetMemoryInfo(handle).used
            found = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except nvml.NVMLError:
            # Such as one that shares the system's memory, and counts none of its own.
            continue
        for process in found:
            size = process.usedGpuMemory
            size_gib = None if size is None else size / _BYTES_PER_GIB
            holders.append(Holder(process.pid, size_gib))
    return GpuMemory(used_bytes, tuple(holders))

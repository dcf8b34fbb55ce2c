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
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from vllm_pkg.settings_table import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from vllm_pkg.clock import Clock
    from vllm_pkg.settings import Settings

WAIT_MAX_S: Final = 15.0
POLL_S: Final = 0.5
# Memory that has not begun to fall after this is not about to.
STEADY_S: Final = 5.0
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


class Wait(StrEnum):
    """Why the start waits for memory, or waits no longer: words for its log."""

    LISTED = "an ended process is still listed"
    FALLING = "it is still falling"
    UNCHANGED = "it has not fallen yet"
    GONE = "no ended process is listed any more"
    FALLEN = "it has fallen"
    STEADY = "it stayed as it was"

    @property
    def is_over(self) -> bool:
        """Whether the start goes on."""
        return self in {Wait.GONE, Wait.FALLEN, Wait.STEADY}


def judge_looks(
    looks: Sequence[GpuMemory], ended: Collection[int], waited_s: float
) -> Wait:
    """
    Decide whether ended processes have given their memory back.

    Where the driver names processes by ids that we know, it is enough that it names
    them no more. Where it does not, memory that does not fall may be somebody else's,
    or ours that the driver has not begun to free: then a while decides.

    Args:
        looks: All looks since they ended, the last one last; at least two.
        ended: Ids of processes that have ended.
        waited_s: Seconds since the first look.
    """
    first, before, now = looks[0], looks[-2], looks[-1]
    if _is_listed(now, ended):
        return Wait.LISTED
    if now.used_bytes < before.used_bytes:
        return Wait.FALLING
    if any(_is_listed(look, ended) for look in looks):
        return Wait.GONE
    if now.used_bytes < first.used_bytes:
        return Wait.FALLEN
    return Wait.STEADY if waited_s >= STEADY_S else Wait.UNCHANGED


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
        ended: Processes of this instance that have ended a moment ago.
        clock: For the limit.
        sleep: Waits so many seconds.
    Returns:
        A line about the wait, if there was one, and one per process that holds memory
        of a GPU now; nothing without a driver.
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
        memory, lines = _wait(nvml, ended, clock, sleep)
    except nvml.NVMLError:
        return ()
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
    return (*lines, *describe_holders(memory, process_name))


def process_name(pid: int, proc: Path = _PROC) -> str:
    """Return the name of a process; of one that we cannot see, that it is elsewhere."""
    try:
        return (proc / str(pid) / "comm").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "outside this container, or ended"


def _wait(
    nvml: Nvml, ended: Collection[int], clock: Clock, sleep: Callable[[float], None]
) -> tuple[GpuMemory, tuple[str, ...]]:
    """Return the last look, and a line about the wait if there was one."""
    looks = [_read(nvml)]
    if not ended:
        return looks[0], ()
    began_s = clock.now_s()
    waited_s = 0.0
    why = Wait.UNCHANGED
    while not why.is_over and waited_s < WAIT_MAX_S:
        sleep(POLL_S)
        looks.append(_read(nvml))
        waited_s = clock.now_s() - began_s
        why = judge_looks(looks, ended, waited_s)
    before_gib = looks[0].used_bytes / _BYTES_PER_GIB
    now_gib = looks[-1].used_bytes / _BYTES_PER_GIB
    line = (
        f"Waited {waited_s:.1f} s for the GPU memory of an earlier engine: {why}"
        f" ({before_gib:.1f} GiB in use before, {now_gib:.1f} GiB now)."
    )
    return looks[-1], (line,)


def _is_listed(memory: GpuMemory, ended: Collection[int]) -> bool:
    return any(holder.pid in ended for holder in memory.holders)


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

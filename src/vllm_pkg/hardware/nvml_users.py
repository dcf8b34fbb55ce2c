"""Which processes have memory of NVIDIA GPUs, read through NVML."""

# ruff: noqa: N802, D102  # the names are NVML's, and so are their meanings

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


class Nvml(Protocol):
    """The part of the binding that is used."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]: ...


@dataclass(frozen=True)
class GpuUser:
    """
    A process that has memory of a GPU.

    Args:
        pid: Its id, as the driver knows it; in a container that may be the host's.
        name: Its name; empty where it cannot be looked at from here.
        memory_bytes: How much; None when the driver does not tell.
    """

    pid: int
    name: str
    memory_bytes: int | None


def read_gpu_users(nvml: Nvml | None = None) -> dict[int, tuple[GpuUser, ...]]:
    """
    Return who has memory of each GPU, by its index; nothing where NVML is silent.

    Args:
        nvml: The binding; None: the installed one.
    """
    binding: Nvml = nvml or _binding()
    try:
        binding.nvmlInit()
    except binding.NVMLError:
        return {}
    try:
        count = binding.nvmlDeviceGetCount()
        return {index: tuple(_users(binding, index)) for index in range(count)}
    except binding.NVMLError:
        return {}
    finally:
        with suppress(binding.NVMLError):
            binding.nvmlShutdown()


def _users(nvml: Nvml, index: int) -> Iterator[GpuUser]:
    # A GPU that is split by MIG may not answer that.
    with suppress(nvml.NVMLError):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        for item in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
            yield GpuUser(item.pid, _name(item.pid), item.usedGpuMemory)


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def _binding() -> Nvml:
    import pynvml  # noqa: PLC0415  # commands that need no GPU stay fast

    binding: Nvml = pynvml
    return binding

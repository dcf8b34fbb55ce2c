"""NVIDIA GPUs, read through NVML, the library that comes with NVIDIA's driver."""

# ruff: noqa: N802, D102  # the names are NVML's, and so are their meanings

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from vllm_pkg.hardware.facts import Gpu, Vendor
from vllm_pkg.hardware.probe import ROOT, Probe, has_gpu_on_bus

if TYPE_CHECKING:
    from pathlib import Path

_VENDOR_ID: Final = "0x10de"
_BYTES_PER_GIB: Final = 1024**3
_MIG_IS_ON: Final = 1


class Nvml(Protocol):
    """The part of the binding that is used, with the names that NVML gave it."""

    NVMLError: type[Exception]
    NVMLError_DriverNotLoaded: type[Exception]
    NVMLError_FunctionNotFound: type[Exception]
    NVMLError_LibRmVersionMismatch: type[Exception]
    NVMLError_LibraryNotFound: type[Exception]
    NVMLError_NotFound: type[Exception]
    NVMLError_NotSupported: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetName(self, handle: Any) -> str: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...
    def nvmlDeviceGetCudaComputeCapability(self, handle: Any) -> tuple[int, int]: ...
    def nvmlDeviceGetMigMode(self, handle: Any) -> list[int]: ...
    def nvmlDeviceGetMaxMigDeviceCount(self, device: Any) -> int: ...
    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Any, index: int) -> Any: ...


def probe_nvidia(root: Path = ROOT) -> Probe:
    """
    Ask the NVIDIA driver for its GPUs.

    Args:
        root: Where ``sys`` is, to see a GPU that has no driver.
    Returns:
        The GPUs; or a reason when there are no driver and no GPU; or failures when
        one of them is here and does not answer. Nothing is kept: the next call asks
        again.
    """
    import pynvml  # noqa: PLC0415  # commands that need no GPU stay fast

    nvml: Nvml = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return _without_driver(nvml, error, root)
    try:
        return _read_gpus(nvml, root)
    except nvml.NVMLError as error:
        return Probe(failures=(_complaint(nvml, error),))
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _without_driver(nvml: Nvml, error: Exception, root: Path) -> Probe:
    is_on_bus = has_gpu_on_bus(_VENDOR_ID, root)
    if isinstance(error, nvml.NVMLError_LibraryNotFound):
        if not is_on_bus:
            reason = "There is no NVIDIA driver: libnvidia-ml.so.1 is not here."
            return Probe(reason=reason)
        told = (
            "This machine has an NVIDIA GPU that cannot be used: the driver's library "
            "libnvidia-ml.so.1 is not here; install the driver, or give the container "
            "the GPU."
        )
        return Probe(failures=(told,))
    if isinstance(error, nvml.NVMLError_DriverNotLoaded) and not is_on_bus:
        return Probe(reason="The NVIDIA driver is installed and not loaded.")
    return Probe(failures=(_complaint(nvml, error),))


def _read_gpus(nvml: Nvml, root: Path) -> Probe:
    count = nvml.nvmlDeviceGetCount()
    if count == 0:
        what = "The NVIDIA driver is loaded and lists no GPU"
        if not has_gpu_on_bus(_VENDOR_ID, root):
            return Probe(reason=f"{what}.")
        told = f"{what}, although one is on the PCI bus; its driver may be too old."
        return Probe(failures=(told,))
    probes = [_read_gpu(nvml, index) for index in range(count)]
    return Probe(
        gpus=tuple(gpu for probe in probes for gpu in probe.gpus),
        failures=tuple(text for probe in probes for text in probe.failures),
        notes=tuple(text for probe in probes for text in probe.notes),
    )


def _read_gpu(nvml: Nvml, index: int) -> Probe:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        name = nvml.nvmlDeviceGetName(handle)
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        parts = _mig_devices(nvml, handle)
        if parts == []:
            told = (
                f"{name} is split by MIG and has no MIG device; create one, or turn "
                "MIG off."
            )
            return Probe(failures=(told,))
        memory_gib, free_gib = _memory_gib(nvml, parts[0] if parts else handle)
    except nvml.NVMLError as error:
        told = f"NVIDIA GPU {index} does not answer: {_text(error)}."
        return Probe(failures=(told,))
    capability = f"{major}.{minor}"
    gpu = Gpu(Vendor.NVIDIA, index, name, capability, memory_gib, free_gib)
    if parts is None:
        return Probe(gpus=(gpu,))
    note = f"{name} is split by MIG; the engine uses its first MIG device only."
    return Probe(gpus=(gpu,), notes=(note,))


def _mig_devices(nvml: Nvml, handle: Any) -> list[Any] | None:
    """Return the parts of a GPU that MIG splits, or None when it does not."""
    try:
        is_on = nvml.nvmlDeviceGetMigMode(handle)[0] == _MIG_IS_ON
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return None
    if not is_on:
        return None
    devices = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        # A GPU has places for more devices than were made.
        with suppress(nvml.NVMLError_NotFound):
            devices.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
    return devices


def _memory_gib(nvml: Nvml, handle: Any) -> tuple[float | None, float | None]:
    """Return total and free GiB; None twice when the GPU shares the system's (GB10)."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError_NotSupported:
        return None, None
    # Some drivers answer 0 for shared memory instead of an error.
    if not memory.total:
        return None, None
    return memory.total / _BYTES_PER_GIB, memory.free / _BYTES_PER_GIB


def _complaint(nvml: Nvml, error: Exception) -> str:
    hint = "see whether nvidia-smi works"
    if isinstance(error, nvml.NVMLError_LibRmVersionMismatch):
        hint = "restart the machine, so that the driver that was installed is loaded"
    return f"The NVIDIA driver answered with an error: {_text(error)}; {hint}."


def _text(error: Exception) -> str:
    return str(error).rstrip(".")

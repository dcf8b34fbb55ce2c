"""AMD GPUs, read through amdsmi, the binding that comes with ROCm (6.4 and 7)."""

# ruff: noqa: D102  # the meanings are those of AMD's documentation

from __future__ import annotations

import re
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, Protocol

from vllm_pkg.hardware import kfd
from vllm_pkg.hardware.facts import Gpu, Vendor
from vllm_pkg.hardware.probe import ROOT, Probe

if TYPE_CHECKING:
    from pathlib import Path

_BYTES_PER_GIB: Final = 1024**3
# The binding writes an unknown target as a number of another length.
_TARGET: Final = re.compile(r"gfx[0-9a-f]{3,4}")
# What importing the binding raises when its library is missing or too old; which one
# it is depends on the version.
_IMPORT_ERRORS: Final = (
    ImportError,
    OSError,
    KeyError,
    AttributeError,
    RuntimeError,
)


_CONTAINER: Final = (
    "for a discrete AMD GPU vLLM's container image for ROCm is the way, and "
    "VLLM_PKG_VARIANT=rocm make setup says how"
)
KFD_SOURCE: Final = "kfd"


class AmdSmi(Protocol):
    """The part of the binding that is used."""

    AmdSmiException: type[Exception]
    AmdSmiMemoryType: Any

    def amdsmi_init(self) -> None: ...
    def amdsmi_shut_down(self) -> None: ...
    def amdsmi_get_processor_handles(self) -> list[Any]: ...
    def amdsmi_get_gpu_asic_info(self, processor_handle: Any) -> dict[str, Any]: ...
    def amdsmi_get_gpu_memory_total(
        self, processor_handle: Any, mem_type: Any
    ) -> int: ...
    def amdsmi_get_gpu_memory_usage(
        self, processor_handle: Any, mem_type: Any
    ) -> int: ...


def probe_amd(root: Path = ROOT) -> Probe:
    """
    Ask the AMD driver for its GPUs.

    Args:
        root: Where ``sys`` is, to see whether the driver is loaded.
    Returns:
        The GPUs, without the binding those that the kernel lists; or a reason when no
        driver is loaded or nothing tells of a GPU; or failures when driver and binding
        are there and do not answer. Nothing is kept.
    """
    if not (root / "sys/module/amdgpu").exists():
        return Probe(reason="There is no AMD driver: amdgpu is not loaded.")
    try:
        # The binding prints when it misses its library; stdout belongs to our caller.
        with redirect_stdout(StringIO()):
            import amdsmi  # noqa: PLC0415  # only ROCm machines have it
    except _IMPORT_ERRORS:
        return _without_binding(root)
    library: AmdSmi = amdsmi
    try:
        library.amdsmi_init()
    except library.AmdSmiException as error:
        return Probe(failures=(_complaint(error),))
    try:
        return _read_gpus(library)
    except library.AmdSmiException as error:
        return Probe(failures=(_complaint(error),))
    finally:
        with suppress(library.AmdSmiException):
            library.amdsmi_shut_down()


def _without_binding(root: Path) -> Probe:
    gpus = kfd.read_gpus(root)
    if not gpus:
        reason = (
            "AMD's driver is loaded, and its GPUs are not looked at, because amdsmi is "
            f"not installed and the kernel lists none for ROCm; {_CONTAINER}."
        )
        return Probe(reason=reason, notes=(reason,), unseen=Vendor.AMD)
    told = "amdsmi is not installed; AMD's GPUs are described as the kernel knows them"
    if any(gpu.tier is not None for gpu in gpus):
        told = f"{told}; {_CONTAINER}"
    return Probe(gpus=gpus, notes=(f"{told}.",), source=KFD_SOURCE)


def _read_gpus(library: AmdSmi) -> Probe:
    handles = library.amdsmi_get_processor_handles()
    if not handles:
        return Probe(reason="AMD's driver is loaded and lists no GPU.")
    gpus: list[Gpu] = []
    failures: list[str] = []
    for index, handle in enumerate(handles):
        try:
            gpus.append(_read_gpu(library, index, handle))
        except library.AmdSmiException as error:
            failures.append(f"AMD GPU {index} does not answer: {_text(error)}.")
    return Probe(gpus=tuple(gpus), failures=tuple(failures))


def _read_gpu(library: AmdSmi, index: int, handle: Any) -> Gpu:
    info = library.amdsmi_get_gpu_asic_info(handle)
    target = str(info["target_graphics_version"])
    vram = library.AmdSmiMemoryType.VRAM
    size_bytes = library.amdsmi_get_gpu_memory_total(handle, vram)
    return Gpu(
        vendor=Vendor.AMD,
        index=index,
        name=str(info["market_name"]),
        compute_capability=target if _TARGET.fullmatch(target) else "",
        memory_gib=size_bytes / _BYTES_PER_GIB,
        free_gib=_free_gib(library, handle, size_bytes),
    )


def _free_gib(library: AmdSmi, handle: Any, size_bytes: int) -> float | None:
    vram = library.AmdSmiMemoryType.VRAM
    try:
        used_bytes = library.amdsmi_get_gpu_memory_usage(handle, vram)
    except library.AmdSmiException:
        # A GPU is usable all the same.
        return None
    return (size_bytes - used_bytes) / _BYTES_PER_GIB


def _complaint(error: Exception) -> str:
    return (
        f"The AMD driver answered with an error: {_text(error)}; see whether amd-smi "
        "works."
    )


def _text(error: Exception) -> str:
    # The binding's texts have line breaks and tabs.
    return " ".join(str(error).split()).rstrip(".")

"""
AMD GPUs as the kernel describes them to ROCm, for a machine without amdsmi.

ROCm's part of amdgpu (KFD) lists each GPU with its graphics target and its memory in
sysfs. A fresh machine has that and no binding, and needs to know which engine to take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.hardware.facts import Gpu, Vendor

if TYPE_CHECKING:
    from pathlib import Path

NODES: Final = "sys/class/kfd/kfd/topology/nodes"
_BYTES_PER_GIB: Final = 1024**3
# The kernel's names for memory of the GPU itself, with and without a window for the
# processor.
_OWN_MEMORY: Final = frozenset({1, 2})
_NAME: Final = "AMD GPU"


def read_gpus(root: Path) -> tuple[Gpu, ...]:
    """
    Read the GPUs that the kernel offers to ROCm.

    Args:
        root: Where ``sys`` is.
    Returns:
        The GPUs in the kernel's order; those that this process may not see are left
        out, as are the processors, which are nodes as well.
    """
    gpus: list[Gpu] = []
    for node in sorted(root.glob(f"{NODES}/[0-9]*"), key=lambda path: int(path.name)):
        target = graphics_target(_properties(node).get("gfx_target_version", 0))
        if target:
            gpus.append(Gpu(Vendor.AMD, len(gpus), _NAME, target, _memory_gib(node)))
    return tuple(gpus)


def graphics_target(version: int) -> str:
    """
    Return the compiler's name of a target: ``gfx942`` for 90402, ``gfx90a`` for 90010.

    Args:
        version: As the kernel writes it, two decimal digits a part; 0 for a processor.
    """
    if version == 0:
        return ""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def _memory_gib(node: Path) -> float:
    banks = (_properties(bank) for bank in node.glob("mem_banks/*"))
    size_bytes = sum(
        bank.get("size_in_bytes", 0)
        for bank in banks
        if bank.get("heap_type") in _OWN_MEMORY
    )
    return size_bytes / _BYTES_PER_GIB


def _properties(folder: Path) -> dict[str, int]:
    try:
        text = (folder / "properties").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        # The kernel keeps from a container what is not the container's.
        return {}
    pairs = (line.split() for line in text.splitlines())
    return {
        pair[0]: int(pair[1])
        for pair in pairs
        if len(pair) == 2 and pair[1].isdecimal()  # noqa: PLR2004
    }

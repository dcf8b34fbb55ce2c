"""A machine with AMD's driver, as its kernel describes it in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NODES = "sys/class/kfd/kfd/topology/nodes"
GFX942, GFX1036, GFX90A, GFX803 = 90402, 100306, 90010, 80003
_OWN_MEMORY, _SYSTEM_MEMORY = 1, 0


def amd_root(root: Path, *versions: int, memory_gib: int = 192) -> Path:
    """
    Write the files of a machine with 64 GiB, a processor and some AMD GPUs.

    Args:
        root: Its root.
        versions: The graphics target of each GPU, as the kernel writes it.
        memory_gib: Memory of each GPU.
    """
    (root / "proc").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal:       67108864 kB\n")
    (root / "sys/module/amdgpu").mkdir(parents=True)
    if versions:
        _add_node(root, 0, 0, _SYSTEM_MEMORY, 64)
    for number, version in enumerate(versions, start=1):
        _add_node(root, number, version, _OWN_MEMORY, memory_gib)
    return root


def _add_node(root: Path, number: int, version: int, heap: int, size_gib: int) -> None:
    node = root / NODES / str(number)
    bank = node / "mem_banks/0"
    bank.mkdir(parents=True)
    (node / "properties").write_text(
        f"cpu_cores_count {0 if version else 16}\nsimd_count {16 if version else 0}\n"
        f"gfx_target_version {version}\nunique_id a1b2\n"
    )
    (bank / "properties").write_text(
        f"heap_type {heap}\nsize_in_bytes {size_gib * 1024**3}\nflags 0\n"
    )

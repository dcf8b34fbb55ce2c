"""
How much main memory this process may use.

What the machine has stands in ``/proc/meminfo``; what a container may take of it in
the control groups, of which every level above the process counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from vllm_pkg.hardware.probe import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BYTES_PER_KIB: Final = 1024
_BYTES_PER_GIB: Final = 1024**3
_MEM_TOTAL: Final = re.compile(r"^MemTotal:\s*(\d+) kB$", re.MULTILINE)
_MEM_AVAILABLE: Final = re.compile(r"^MemAvailable:\s*(\d+) kB$", re.MULTILINE)
_CONTROLLER: Final = "memory"
_V1_MOUNT: Final = "sys/fs/cgroup/memory"
_V1_FILE: Final = "memory.limit_in_bytes"
# The second is where systemd mounts it beside version 1.
_V2_MOUNTS: Final = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
_V2_FILE: Final = "memory.max"


@dataclass(frozen=True)
class SystemMemory:
    """
    Main memory.

    Args:
        memory_gib: What this process may use, in GiB; 0 when that is not known.
        note: A sentence about a limit that lowers it, or None.
        failure: Why it is not known, or None.
        free_gib: How much of it a program could have now, in GiB; None when that is
            not known.
    """

    memory_gib: float
    note: str | None = None
    failure: str | None = None
    free_gib: float | None = None


def read_system_memory(root: Path = ROOT) -> SystemMemory:
    """
    Read the main memory and the limit that this process is under.

    Args:
        root: Where ``proc`` and ``sys`` are.
    Returns:
        The lower of the two.
    """
    try:
        text = (root / "proc/meminfo").read_text(encoding="utf-8")
    except OSError as error:
        return _not_known(error.strerror or str(error))
    found = _MEM_TOTAL.search(text)
    if found is None:
        return _not_known("it has no line MemTotal")
    total_bytes = int(found[1]) * _BYTES_PER_KIB
    limit_bytes = min(_limits(root), default=total_bytes)
    free_gib = _free_gib(text, limit_bytes)
    # No limit is written as a number larger than any machine's memory, or as none.
    if limit_bytes >= total_bytes:
        return SystemMemory(total_bytes / _BYTES_PER_GIB, free_gib=free_gib)
    limit_gib = limit_bytes / _BYTES_PER_GIB
    note = (
        f"This container may use {limit_gib:.1f} GiB of the machine's "
        f"{total_bytes / _BYTES_PER_GIB:.1f} GiB of memory."
    )
    return SystemMemory(limit_gib, note=note, free_gib=free_gib)


def _free_gib(text: str, limit_bytes: int) -> float | None:
    """Return what the kernel could give out; the page cache counts as free."""
    found = _MEM_AVAILABLE.search(text)
    if found is None:
        return None
    # What the container uses of its limit is mostly page cache, which the kernel takes
    # back: the limit alone bounds what it can have.
    return min(int(found[1]) * _BYTES_PER_KIB, limit_bytes) / _BYTES_PER_GIB


def _not_known(why: str) -> SystemMemory:
    return SystemMemory(
        0.0, failure=f"The system's memory is not known: /proc/meminfo: {why}."
    )


def _limits(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            for mount in _V2_MOUNTS:
                yield from _limits_along(root / mount, path, _V2_FILE)
        elif _CONTROLLER in controllers.split(","):
            yield from _limits_along(root / _V1_MOUNT, path, _V1_FILE)


def _limits_along(mount: Path, path: str, name: str) -> Iterator[int]:
    """Yield the limits of a group and of every group above it."""
    # Inside a container the path may be the host's; then only the mount's own top
    # exists here, and it is the container's group.
    parts = [part for part in PurePosixPath(path).parts if part not in {"/", ".."}]
    for depth in range(len(parts) + 1):
        for line in _lines(mount.joinpath(*parts[:depth], name)):
            if line.isascii() and line.isdigit() and int(line) > 0:
                yield int(line)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []

"""Main memory and a container's limit, read from real files in the kernel's form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vllm_pkg.hardware.memory import SystemMemory, read_system_memory

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO_64_GIB = "MemTotal:       67108864 kB\nMemFree:        1000 kB\n"
GIB = 1024**3
V1_NONE = 9223372036854771712


def machine(root: Path, files: dict[str, str | int]) -> SystemMemory:
    """Read a machine with 64 GiB that has the given files besides."""
    for name, content in {"proc/meminfo": MEMINFO_64_GIB, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return read_system_memory(root)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/"},
        {"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "max"},
        {"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "0"},
        {"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": 65 * GIB},
        {"proc/self/cgroup": "0::/a", "sys/fs/cgroup/b/memory.max": GIB},
        {
            "proc/self/cgroup": "4:memory:/",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_NONE,
        },
        {
            "proc/self/cgroup": "3:cpuset:/",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": GIB,
        },
    ],
)
def test_without_a_limit_the_machine_counts(tmp_path, files):
    """No limit, in all the ways the kernel says it, leaves the machine's memory."""
    assert machine(tmp_path, files) == SystemMemory(64.0)


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": 6 * GIB},
        {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/memory.max": 6 * GIB},
        {
            "proc/self/cgroup": "0::/a/b",
            "sys/fs/cgroup/a/memory.max": 6 * GIB,
            "sys/fs/cgroup/a/b/memory.max": "max",
        },
        {
            "proc/self/cgroup": "0::/a/b",
            "sys/fs/cgroup/a/memory.max": 8 * GIB,
            "sys/fs/cgroup/a/b/memory.max": 6 * GIB,
        },
        {"proc/self/cgroup": "0::/host/x", "sys/fs/cgroup/memory.max": 6 * GIB},
        {"proc/self/cgroup": "0::/../x", "sys/fs/cgroup/x/memory.max": 6 * GIB},
        {
            "proc/self/cgroup": "1:cpu:/\n0::/a",
            "sys/fs/cgroup/unified/a/memory.max": 6 * GIB,
        },
        {
            "proc/self/cgroup": "4:cpu,memory:/docker/x",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 6 * GIB,
        },
        {
            "proc/self/cgroup": "4:memory:/a/b",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_NONE,
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": 6 * GIB,
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": V1_NONE,
        },
    ],
)
def test_a_lower_limit_counts(tmp_path, files):
    """The lowest limit on the way to the process's group counts, and a note says so."""
    assert machine(tmp_path, files) == SystemMemory(
        6.0, note="This container may use 6.0 GiB of the machine's 64.0 GiB of memory."
    )


@pytest.mark.parametrize(
    ("files", "free_gib"),
    [
        ({"proc/meminfo": "MemTotal: 67108864 kB\nMemAvailable: 33554432 kB"}, 32.0),
        (
            {
                "proc/meminfo": "MemTotal: 67108864 kB\nMemAvailable: 33554432 kB",
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/memory.max": 6 * GIB,
            },
            6.0,
        ),
        ({}, None),
    ],
)
def test_free_memory_is_what_the_kernel_could_give(tmp_path, files, free_gib):
    """Free is what the kernel says is available, within the limit; else not known."""
    assert machine(tmp_path, files).free_gib == free_gib


def test_memory_that_is_not_known_is_a_failure(tmp_path):
    """Without a readable figure the memory is 0 and the reason is told."""
    assert read_system_memory(tmp_path) == SystemMemory(
        0.0,
        failure="The system's memory is not known: /proc/meminfo: "
        "No such file or directory.",
    )
    told = machine(tmp_path, {"proc/meminfo": "MemFree: 1 kB"}).failure
    assert told == (
        "The system's memory is not known: /proc/meminfo: it has no line MemTotal."
    )


def test_this_machine_has_memory():
    """The real files of the machine that runs the tests give a figure."""
    memory = read_system_memory()
    assert memory.failure is None
    assert 0.1 < memory.memory_gib < 100_000
    assert memory.free_gib is not None
    assert 0.0 < memory.free_gib <= memory.memory_gib

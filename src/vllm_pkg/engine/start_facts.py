"""What this machine and the engine's installation are, for the levers of a start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.start_levers import StartFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = Path("/")
# The largest of what a start imports; an installer compiles all packages or none.
_PACKAGES: Final = ("torch", "transformers", "vllm")
_SIBLINGS: Final = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def read_start_facts(
    program: str | None, environ: Mapping[str, str], *, is_cpu: bool
) -> StartFacts:
    """
    Look at the machine and the installation.

    Args:
        program: The engine's program; None when it is not installed.
        environ: The host's environment.
        is_cpu: Whether the engine computes on the CPU.
    """
    return StartFacts(
        is_cpu=is_cpu,
        cores=physical_cores(os.sched_getaffinity(0), ROOT) if is_cpu else None,
        has_bytecode=program is None or has_bytecode(Path(program)),
        set_names=frozenset(environ),
    )


def physical_cores(cpus: Iterable[int], root: Path) -> int | None:
    """
    Count the cores behind logical CPUs.

    Args:
        cpus: Numbers of logical CPUs.
        root: Where ``sys`` is.
    Returns:
        How many; None when the kernel does not say.
    """
    try:
        return len({(root / _SIBLINGS.format(cpu)).read_text() for cpu in cpus})
    except OSError:
        return None


def has_bytecode(program: Path) -> bool:
    """
    Whether the engine's packages have compiled bytecode beside them.

    Args:
        program: Such as ``PREFIX/bin/vllm``; its packages are below ``PREFIX/lib``.
    Returns:
        True also when the packages are somewhere else, so that nothing is changed.
    """
    places = program.parent.parent.glob("lib/python3*/*-packages")
    folders = [
        place / package
        for place in places
        for package in _PACKAGES
        if (place / package).is_dir()
    ]
    return all(any(folder.glob("__pycache__/__init__.*.pyc")) for folder in folders)

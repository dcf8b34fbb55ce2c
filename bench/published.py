# ruff: noqa: INP001  # beside scripts, in no package
"""What all benchmarks say of the machine they ran on, and how they leave results."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def moment() -> str:
    """Return the time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe_machine(**more: object) -> dict[str, Any]:
    """
    Return what figures of this machine depend on, and how busy it is now.

    Args:
        more: What else they depend on, such as versions of programs.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 1024**3, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **more,
    }


def machine_facts(machine: dict[str, Any], shared_with: str = "") -> tuple[str, ...]:
    """
    Return the words of what `describe_machine` found.

    Args:
        machine: It.
        shared_with: The program that makes the load, on the same cores.
    """
    sharer = f", which {shared_with} shares" if shared_with else ""
    return (
        f"{machine['cores']} cores{sharer}",
        f"{machine['memory_gib']} GiB",
        f"load average {machine['load_average']} before the start",
        f"Python {machine['python']}",
    )


def write_results(name: str, document: dict[str, Any], table: str) -> None:
    """
    Write results/NAME.json and results/NAME.md.

    Args:
        name: The benchmark.
        document: Every figure.
        table: What the documentation shows of them.
    """
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(text)
    (RESULTS / f"{name}.md").write_text(table)


def publish(name: str, document: dict[str, Any], table: str, *, is_dry: bool) -> None:
    """Show the results, and write them unless that is not wanted."""
    if not is_dry:
        write_results(name, document, table)
    sys.stdout.write(table)

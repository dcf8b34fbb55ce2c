# ruff: noqa: INP001  # a script, in no package
"""
How long commands that people and monitoring run often take, from start to end.

Run it with the Python that has the package: ``python bench/cli_startup.py [RUNS]``.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

COMMANDS: Final = (("--help",), ("health",), ("status",))
RUNS: Final = 20
GIB: Final = 1024**3


def measure_ms(command: tuple[str, ...], environment: dict[str, str]) -> float:
    """Return the wall time of one run, in milliseconds."""
    started_s = time.perf_counter()
    subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "vllm_pkg", *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return (time.perf_counter() - started_s) * 1000


def main() -> None:
    """Measure every command and print one table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    memory_gib = psutil.virtual_memory().total / GIB
    table = Table(
        "Command",
        "Median (ms)",
        "Min (ms)",
        "Max (ms)",
        title=(
            f"{runs} runs, {os.cpu_count()} CPUs, {memory_gib:.0f} GiB,"
            f" {platform.machine()}, Python {platform.python_version()}"
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "VLLM_PKG_MAIN": str(Path(folder) / "main"),
            "VLLM_PKG_PUBLIC": str(Path(folder) / "public"),
        }
        for command in COMMANDS:
            # Once before it counts: byte code and files are in the cache then.
            measure_ms(command, environment)
            times_ms = [measure_ms(command, environment) for _ in range(runs)]
            figures = (statistics.median(times_ms), min(times_ms), max(times_ms))
            table.add_row(" ".join(command), *(f"{item:.0f}" for item in figures))
    Console().print(table)


if __name__ == "__main__":
    main()

# ruff: noqa: INP001  # a script, in no package
"""
How long commands that people and monitoring run often take, from start to end.

Run it with the Python that has the package: ``python bench/cli_startup.py [RUNS]``. It
writes cli_startup.json and cli_startup.md into results/. The commands take turns, so
that what else the machine does meets all of them. Where other programs use the machine,
``chrt --fifo 50`` before the command measures this one as on a machine of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from published import describe_machine, machine_facts, moment, publish

# What is run, and which of its exit codes is right where nothing runs.
COMMANDS: Final = (("--help", 0), ("health", 1), ("status", 0))
GOALS_MS: Final = {"--help": 300, "health": 300}
RUNS: Final = 30
MODEL: Final = {"serveArgs": ["org/name"]}


def measure_once(
    command: str, expected: int, environment: dict[str, str]
) -> tuple[float, float]:
    """Return the wall time and the CPU time of one run, in milliseconds."""
    used_s = _children_s()
    started_s = time.perf_counter()
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "vllm_pkg", command],
        env=environment,
        capture_output=True,
        check=False,
    )
    elapsed_s = time.perf_counter() - started_s
    if done.returncode != expected:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr!r}")
    return round(elapsed_s * 1000, 1), round((_children_s() - used_s) * 1000, 1)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(runs: int) -> dict[str, Any]:
    """Run the commands in turns; the first turn warms up, and does not count."""
    machine = describe_machine(
        architecture=platform.machine(),
        is_realtime=os.sched_getscheduler(0) != os.SCHED_OTHER,
    )
    found: dict[str, dict[str, list[float]]] = {
        command: {"wall_ms": [], "cpu_ms": []} for command, _ in COMMANDS
    }
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder) / "main"
        environment = os.environ | {
            "VLLM_PKG_MAIN": str(main),
            "VLLM_PKG_PUBLIC": str(Path(folder) / "public"),
        }
        main.mkdir()
        (main / "store.json").write_text(json.dumps(MODEL))
        for number in range(runs + 1):
            for command, expected in COMMANDS:
                wall_ms, cpu_ms = measure_once(command, expected, environment)
                if number:
                    found[command]["wall_ms"].append(wall_ms)
                    found[command]["cpu_ms"].append(cpu_ms)
    return {
        "at": moment(),
        "machine": machine,
        "runs": runs,
        "commands": found,
    }


def format_table(document: dict[str, Any]) -> str:
    """Return the results as a table for the documentation."""
    machine = document["machine"]
    lines = [
        "| command | median, ms | least | most | goal | of it CPU, ms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for command, times in document["commands"].items():
        wall_ms = times["wall_ms"]
        figures = (statistics.median(wall_ms), min(wall_ms), max(wall_ms))
        goal_ms = GOALS_MS.get(command)
        cells = [f"`vllm-pkg {command}`", *(f"{item:.0f}" for item in figures)]
        cells.append(f"under {goal_ms}" if goal_ms else "")
        cells.append(f"{statistics.median(times['cpu_ms']):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    facts = (
        f"{document['runs']} runs of each, in turns",
        *machine_facts(machine),
        *(["at real-time priority"] if machine["is_realtime"] else []),
        machine["architecture"],
    )
    lines += ["", f"Measured {document['at'][:10]}: {', '.join(facts)}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=RUNS)
    parser.add_argument("--dry", action="store_true", help="write no files")
    arguments = parser.parse_args()
    document = measure(arguments.runs)
    publish("cli_startup", document, format_table(document), is_dry=arguments.dry)


if __name__ == "__main__":
    main()

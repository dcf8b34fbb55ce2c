# ruff: noqa: INP001, S603, S607, S101  # a script, in no package
"""
How fast the recorder passes the engine's output on, beside `cat` in its place.

    PYTHONPATH=bench .venv/bin/python bench/recorder_rate.py [--mib 1024] [--rounds 9]

Both get the same bytes through the same kind of pipe and write into a pipe that is read
as fast as it goes; the recorder keeps its log, looks for phases and takes the key out
meanwhile. The two take turns, so that both see the same machine. Writes
bench/results/recorder_rate.json and recorder_rate.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from published import describe_machine, machine_facts, moment, publish
from statistics_of_pairs import Ratio, ratio_of_pairs

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.processes import PIPE_BYTES, own_identity
from vllm_pkg.settings import load_settings
from vllm_pkg.state import records

MEBIBYTE = 1024 * 1024
MEGABYTE = 1e6
LINE = b"(EngineCore pid=7) INFO 11-21 10:00:00 [core.py:1] a line as vLLM writes it\n"
KEY = b"Key0123456789ABCDEFGHI"
# Its argument is the descriptor from which it reads the key.
RECORDER = [sys.executable, "-m", "vllm_pkg.engine.recorder", "{key}"]


def rate(argv: list[str], folder: Path, size_mib: int) -> float:
    """Return how many megabytes per second a program passes on."""
    settings = load_settings({"VLLM_PKG_MAIN": str(folder), "HOME": str(folder)})
    settings.logs_dir.mkdir(exist_ok=True)
    start = records.StartRecord(
        process=own_identity(),
        started_s=BootClock().now_s(),
        host="127.0.0.1",
        port=1,
        model="bench",
        log_file=str(settings.logs_dir / "engine-1.log"),
    )
    records.write_record(settings.start_file, start)
    block = LINE * (MEBIBYTE // len(LINE))
    (folder / "key").write_bytes(KEY)
    with (
        (folder / "key").open("rb") as key,
        subprocess.Popen(
            [item.format(key=key.fileno()) for item in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(key.fileno(),),
            env=os.environ | {"VLLM_PKG_MAIN": str(folder)},
            pipesize=PIPE_BYTES,
            bufsize=0,
        ) as program,
    ):
        assert program.stdin is not None
        with subprocess.Popen(
            ["cat"], stdin=program.stdout, stdout=subprocess.DEVNULL
        ) as reader:
            # It has begun when it has taken the first block.
            program.stdin.write(block)
            began_s = time.monotonic()
            for _ in range(size_mib):
                program.stdin.write(block)
            program.stdin.close()
            program.wait()
            took_s = time.monotonic() - began_s
            assert program.stdout is not None
            program.stdout.close()
            reader.wait()
    return size_mib * len(block) / took_s / MEGABYTE


def format_table(document: dict[str, Any]) -> str:
    """Return the results as a table for the documentation."""
    lines = ["| program | MB/s, median | least | most |", "| --- | --- | --- | --- |"]
    for name, rates in document["mb_per_s"].items():
        figures = (statistics.median(rates), min(rates), max(rates))
        lines.append(f"| {name} | {' | '.join(f'{one:.0f}' for one in figures)} |")
    ratio = Ratio(**document["ratio"])
    facts = (
        f"Recorder of cat: {ratio.mean:.2f} ({ratio.low:.2f} to {ratio.high:.2f}",
        f"{ratio.pairs} pairs); measured {document['at'][:10]}",
        *machine_facts(document["machine"]),
    )
    lines += ["", f"{', '.join(facts)}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dry", action="store_true", help="write no files")
    options = parser.parse_args()
    machine = describe_machine()
    programs = {"cat": ["cat"], "recorder": RECORDER}
    seen: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name, argv in programs.items():
                seen[name].append(round(rate(argv, Path(folder), options.mib), 1))
    ratio = ratio_of_pairs(seen["recorder"], seen["cat"])
    document = {
        "at": moment(),
        "machine": machine,
        "mib": options.mib,
        "mb_per_s": seen,
        "ratio": asdict(ratio),
    }
    publish("recorder_rate", document, format_table(document), is_dry=options.dry)


if __name__ == "__main__":
    main()

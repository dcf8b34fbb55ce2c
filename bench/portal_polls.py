# ruff: noqa: INP001  # a script, in no package
"""
How fast pollers are answered: GET /healthz while a hundred event streams are open.

Run it with ``PYTHONPATH=tests:bench .venv/bin/python bench/portal_polls.py``. It needs
wrk, starts a portal, and writes portal_polls.json and portal_polls.md into results/.
The state is that of a start that goes on for the whole time, and its seconds grow: each
look finds a change, so each stream is written to once a second.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import statistics
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from published import describe_machine, machine_facts, moment, publish

from support.portal_api import PortalApi
from support.service import free_port
from vllm_pkg.clock import BootClock
from vllm_pkg.engine.processes import own_identity
from vllm_pkg.settings import load_settings
from vllm_pkg.state import records
from vllm_pkg.state.store import update_store

POLL_PATH: Final = "/healthz?always=200"
UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
GOAL_RATE: Final = 2000
GOAL_P99_MS: Final = 10.0


class Streams:
    """
    Open event streams, all read by one thread; a context manager.

    Args:
        portal: Whose events they are.
        count: How many.
    """

    def __init__(self, portal: PortalApi, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._streams = [portal.stream("/events") for _ in range(count)]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._is_over = threading.Event()
        self.events = 0

    def __enter__(self) -> Self:
        """Begin to read."""
        for stream in self._streams:
            # The answer's own file: what it has buffered is read through it.
            descriptor = stream.answer.fileno()
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._is_over.set()
        self._reader.join()
        for stream in self._streams:
            stream.__exit__()

    def _read(self) -> None:
        while not self._is_over.is_set():
            for key, _ in self._selector.select(0.2):
                data = os.read(key.fd, 1024 * 1024)
                self.events += data.count(b"event: state\n")


def poll(portal: PortalApi, connections: int, seconds: int) -> dict[str, float]:
    """
    Poll for a while.

    Returns:
        Polls per second and latencies in milliseconds, as wrk measures, and polls per
        CPU second of the portal, which other programs of the machine change less.
    """
    before_s = _cpu_s(portal)
    command = ["wrk", "--latency", "--threads", "1", "--connections", str(connections)]
    command += [
        "--duration",
        f"{seconds}s",
        f"http://127.0.0.1:{portal.port}{POLL_PATH}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"polls failed:\n{done.stdout}")
    found = {"rate": float(_figure(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])}
    count = int(_figure(r"(\d+) requests in", done.stdout)[1])
    found["rate_cpu"] = count / (_cpu_s(portal) - before_s)
    for percent in ("50", "99"):
        figure = _figure(rf"\s{percent}%\s+([\d.]+)(us|ms|s)\b", done.stdout)
        found[f"p{percent}_ms"] = float(figure[1]) * UNITS_MS[figure[2]]
    return found


def _figure(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"no {pattern} in:\n{text}")
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Start a portal, open the streams, poll it in rounds; the first one warms up."""
    machine = describe_machine()
    with (
        tempfile.TemporaryDirectory() as folder,
        PortalApi(Path(folder)) as portal,
    ):
        _begin_start(portal)
        with Streams(portal, arguments.streams) as streams:
            rounds = [
                poll(portal, arguments.connections, arguments.seconds)
                for _ in range(arguments.rounds + 1)
            ][1:]
            memory_mib = _memory_mib(portal)
    return {
        "at": moment(),
        "machine": machine,
        "streams": arguments.streams,
        "connections": arguments.connections,
        "seconds": arguments.seconds,
        "events_read": streams.events,
        "portal_memory_mib": memory_mib,
        "rounds": rounds,
    }


def _begin_start(portal: PortalApi) -> None:
    """Write down a start that goes on for as long as this program runs."""
    settings = load_settings(portal.environment)
    update_store(settings, lambda store: replace(store, serve_args=("org/name",)))
    start = records.StartRecord(
        process=own_identity(),
        started_s=BootClock().now_s(),
        host="127.0.0.1",
        port=free_port(),
        model="org/name",
        phase="load",
    )
    records.write_record(settings.start_file, start)


def _cpu_s(portal: PortalApi) -> float:
    # The first figure is nanoseconds; /proc/PID/stat has clock ticks of 10 ms.
    threads = Path(f"/proc/{_pid(portal)}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in threads) / 1e9


def _pid(portal: PortalApi) -> int:
    return portal.process.pid


def _memory_mib(portal: PortalApi) -> float:
    status = Path(f"/proc/{_pid(portal)}/status").read_text()
    return round(int(_figure(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024, 1)


def format_table(document: dict[str, Any]) -> str:
    """Return the results as a table for the documentation."""
    rounds, machine = document["rounds"], document["machine"]
    lines = ["| figure | median | worst round | goal |", "| --- | --- | --- | --- |"]
    for name, text, worst, goal in (
        ("rate", "polls per second", min, f"at least {GOAL_RATE:,}"),
        ("rate_cpu", "polls per CPU second of the portal", min, ""),
        ("p50_ms", "latency, half of them under, in ms", max, ""),
        ("p99_ms", "latency, 99 % of them under, in ms", max, f"under {GOAL_P99_MS:g}"),
    ):
        figures = [one[name] for one in rounds]
        middle = statistics.median(figures)
        cells = (text, f"{middle:,.2f}", f"{worst(figures):,.2f}", goal)
        lines.append(f"| {' | '.join(cells)} |")
    facts = (
        f"{document['streams']} event streams open, {document['events_read']} events",
        f"{document['connections']} connections",
        f"{len(rounds)} rounds of {document['seconds']} s",
        f"the portal takes {document['portal_memory_mib']} MiB",
        *machine_facts(machine, shared_with="wrk"),
    )
    lines += ["", f"Measured {document['at'][:10]}: {', '.join(facts)}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="write no files")
    arguments = parser.parse_args()
    document = measure(arguments)
    publish("portal_polls", document, format_table(document), is_dry=arguments.dry)


if __name__ == "__main__":
    main()

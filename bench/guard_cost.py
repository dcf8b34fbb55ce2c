# ruff: noqa: INP001  # a script, in no package
"""
What the guard costs: the same engine guarded, unguarded, and behind Caddy.

Run it with ``PYTHONPATH=tests:bench .venv/bin/python bench/guard_cost.py``. It needs
wrk and Caddy, starts one engine with the tiny test model, and writes
bench/results/guard_cost.json and guard_cost.md. All addresses are loopback ones.

Rounds are many and short: what else the machine does changes slowly against them, so it
is the same for both sides of a pair.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guard_switch import BARE, GUARDED
from published import describe_machine, machine_facts, moment, publish
from serve_benchmark import ServeBenchmark
from statistics_of_pairs import Ratio, ratio_of_pairs

from support.live_engine import LiveEngine
from support.service import free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS: Final = ("unguarded", "guarded", "caddy")
RATE: Final = "requests per second"
CPU: Final = "requests per CPU second of the API server"
FAILED: Final = "requests that failed"
CONNECTIONS: Final = 8
CADDYFILE: Final = """{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  @key header Authorization "Bearer {key}"
  handle @key {{
    reverse_proxy 127.0.0.1:{upstream} {{
      # uvicorn closes a connection after 5 idle seconds, and Caddy keeps it longer.
      # 2 of 6,900 requests through it were lost without this, none of 6,400 with it:
      # likely, not proven, that they met the close.
      transport http {{
        keepalive 3s
      }}
    }}
  }}
  respond 401
}}
"""


@dataclass(frozen=True)
class Setup:
    """
    The running programs.

    Args:
        engine: The engine with its switch.
        caddy_port: Where Caddy listens.
        key: The API key, the same for all ways.
    """

    engine: LiveEngine
    caddy_port: int
    key: str

    def use(self, way: str) -> int:
        """Switch the engine and return the port of that way."""
        self.engine.ask("GET", GUARDED if way == "guarded" else BARE)
        return self.caddy_port if way == "caddy" else self.engine.service.port

    def cpu_s(self) -> float:
        """Return the CPU time that the API server has used, all threads together."""
        process = self.engine.process
        if process is None:
            raise RuntimeError("the engine does not run")
        # The first figure is nanoseconds; /proc/PID/stat has clock ticks of 10 ms.
        threads = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text().split()[0]) for path in threads) / 1e9


def measure_http(setup: Setup, way: str, seconds: int) -> dict[str, float]:
    """Measure ``GET /v1/models`` with wrk."""
    port = setup.use(way)
    before_s = setup.cpu_s()
    done = subprocess.run(  # noqa: S603  # loopback, our own arguments
        [
            *("wrk", "--threads", "1", "--connections", str(CONNECTIONS)),
            *("--duration", f"{seconds}s"),
            *("--header", f"Authorization: Bearer {setup.key}"),
            f"http://127.0.0.1:{port}/v1/models",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        raise RuntimeError(f"requests failed:\n{done.stdout}")
    count = int(_figure(r"(\d+) requests in", done.stdout))
    rate = float(_figure(r"Requests/sec:\s+([\d.]+)", done.stdout))
    return {RATE: rate, CPU: count / (setup.cpu_s() - before_s)}


def measure_inference(
    setup: Setup, benchmark: ServeBenchmark, way: str, count: int
) -> dict[str, float]:
    """Measure completions of one token with ``vllm bench serve``."""
    port = setup.use(way)
    before_s = setup.cpu_s()
    rate, errors = benchmark.run(port, count)
    for error in errors:
        sys.stderr.write(f"{way}: a request failed: {error}\n")
    return {
        RATE: rate,
        CPU: (count - len(errors)) / (setup.cpu_s() - before_s),
        FAILED: len(errors),
    }


def _figure(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"no {pattern} in:\n{text}")
    return found[1]


def measure_rounds(
    measure: Callable[[str], dict[str, float]], rounds: int, name: str
) -> dict[str, dict[str, list[float]]]:
    """
    Measure every way once per round, each round in another order.

    Args:
        measure: Takes a way, returns its figures by kind.
        rounds: How many; the first one warms up and does not count.
        name: For the progress that people see.
    Returns:
        By kind of figure and by way, one figure per round.
    """
    order = random.Random(2)  # noqa: S311  # no secret is made of it
    series: dict[str, dict[str, list[float]]] = defaultdict(
        lambda: {way: [] for way in WAYS}
    )
    for number in range(rounds + 1):
        for way in order.sample(WAYS, len(WAYS)):
            for kind, figure in measure(way).items():
                if number:
                    series[kind][way].append(figure)
        if number % 20 == 0:
            sys.stderr.write(f"{name}: round {number} of {rounds}\n")
    return series


def run(arguments: argparse.Namespace, setup: Setup) -> None:
    """Measure everything, and write the results after each part."""
    machine = describe_machine(
        vllm=_version("vllm", "--version"),
        caddy=_version("caddy", "version"),
        wrk=_version("wrk", "--version"),
    )
    tokenizer = setup.engine.settings.local_models_dir / "tiny"
    benchmark = ServeBenchmark(tokenizer, setup.key)
    series = {}
    series["GET /v1/models"] = measure_rounds(
        lambda way: measure_http(setup, way, arguments.seconds),
        arguments.http_rounds,
        "HTTP path",
    )
    _write(machine, series)
    series["chat of one token"] = measure_rounds(
        lambda way: measure_inference(setup, benchmark, way, arguments.requests),
        arguments.inference_rounds,
        "inference",
    )
    _write(machine, series)


def _write(
    machine: dict[str, Any], series: dict[str, dict[str, dict[str, list[float]]]]
) -> None:
    document = {
        "at": moment(),
        "machine": machine,
        "connections": CONNECTIONS,
        "ratios": {
            f"{name}, {kind}": {
                way: asdict(ratio_of_pairs(figures[way], figures["unguarded"]))
                # Caddy's own CPU time is not the API server's.
                for way in (("guarded", "caddy") if kind == RATE else ("guarded",))
            }
            for name, kinds in series.items()
            for kind, figures in kinds.items()
            if kind != FAILED
        },
        "failed": {way: sum(series["chat of one token"][FAILED][way]) for way in WAYS}
        if "chat of one token" in series
        else {},
        "figures": series,
    }
    publish("guard_cost", document, format_table(document), is_dry=False)


def _version(program: str, argument: str) -> str:
    beside = Path(sys.executable).parent / program
    command = [str(beside) if beside.exists() else program, argument]
    # wrk prints its version and exits with 1.
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False
    )
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return found[0] if found else "unknown"


def format_table(document: dict[str, Any]) -> str:
    """Return the results as a table for the documentation."""
    machine = document["machine"]
    header = "| load | way | relative to unguarded | 95 % interval | pairs |"
    lines = [header, "| --- | --- | --- | --- | --- |"]
    for name, by_way in document["ratios"].items():
        for way, figures in by_way.items():
            ratio = Ratio(**figures)
            interval = f"{ratio.low:.3f} to {ratio.high:.3f}"
            cells = (name, way, f"{ratio.mean:.3f}", interval, str(ratio.pairs))
            lines.append(f"| {' | '.join(cells)} |")
    facts = (
        *machine_facts(machine),
        f"vLLM {machine['vllm']}",
        f"Caddy {machine['caddy']}",
        f"wrk {machine['wrk']}",
        f"{document['connections']} connections",
    )
    lines += ["", f"Measured {document['at'][:10]}: {', '.join(facts)}."]
    if document["failed"]:
        told = ", ".join(f"{way} {n:.0f}" for way, n in document["failed"].items())
        lines.append(f"Requests for a token that failed: {told}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Start the programs, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http-rounds", type=int, default=240)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--inference-rounds", type=int, default=600)
    parser.add_argument("--requests", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = LiveEngine(
            Path(folder), is_guarded=False, middleware="guard_switch.Switch"
        )
        caddy = None
        try:
            engine.start()
            setup = Setup(engine, free_port(), engine.service.key())
            caddy = _start_caddy(Path(folder), setup)
            run(arguments, setup)
        finally:
            if caddy is not None:
                caddy.terminate()
                caddy.wait(10)
            engine.stop()


def _start_caddy(folder: Path, setup: Setup) -> subprocess.Popen[bytes]:
    config = folder / "Caddyfile"
    upstream = setup.engine.service.port
    text = CADDYFILE.format(port=setup.caddy_port, key=setup.key, upstream=upstream)
    config.write_text(text)
    caddy = subprocess.Popen(  # noqa: S603
        [  # noqa: S607
            "caddy",
            "run",
            "--adapter",
            "caddyfile",
            "--config",
            str(config),
        ],
        stderr=subprocess.DEVNULL,
    )

    def is_ready() -> bool:
        try:
            setup.use("caddy")
            url = f"http://127.0.0.1:{setup.caddy_port}/health"
            header = f"Authorization: Bearer {setup.key}"
            command = ["curl", "--fail", "--silent", "--header", header, url]
            done = subprocess.run(command, check=False)  # noqa: S603
        except OSError:
            return False
        return done.returncode == 0

    wait_until(is_ready, 20, "Caddy")
    return caddy


if __name__ == "__main__":
    main()

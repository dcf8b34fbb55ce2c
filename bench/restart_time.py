# ruff: noqa: INP001  # a script, in no package
"""
How long a restart takes: this package, plain ``vllm serve``, and each lever on its own.

Run it with ``PYTHONPATH=tests:bench .venv/bin/python bench/restart_time.py``. It
starts the tiny test model many times, each round in another order, and writes
bench/results/restart_time.json and restart_time.md. ``--lock FILE`` takes that lock for
each round, so that others may have the machine between two. ``--rates MODEL`` measures
the tokens per second of ``tiny`` or ``small`` alone, some ten minutes, and puts them
into the results that are there.

A fresh container is an empty home and an empty temporary folder; what it keeps is the
main volume. The page cache is warm for all. Each engine says what it says to the same
prompts; afterwards engines that run side by side are kept busy in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from completions_load import CONCURRENCY, Completions
from engine_start import KEY, MARKS, NAME, EngineStart, Way
from published import RESULTS, describe_machine, machine_facts, moment, write_results
from statistics_of_pairs import Ratio, ratio_of_pairs

from vllm_pkg.models.tiny import tiny_files

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = "bench-org/tiny"
CACHE_GIB: Final = "2"
TURN_PAUSE_S: Final = 3.0
BURST_S: Final = 1.5
READY, CPU = "ready", "CPU seconds until ready"
AOT_OFF: Final = {"VLLM_USE_AOT_COMPILE": "0"}
HEADERS_OFF: Final = {"TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS": "0"}
WORKER_IN_CORE: Final = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}
NO_BYTECODE: Final = {"PYTHONPYCACHEPREFIX": "{empty}"}
NO_AOT = "lever: no AOT cache"
NO_HEADERS = "lever: no precompiled headers"
ONE_PROCESS = "lever: worker in the core's process"
PLAIN_EMPTY, PLAIN, PACKAGE = "plain, empty", "plain, caches kept", "package, fresh"
CACHED, OFFLINE = "package, cached repository", "the same without a network"
BARE, BARE_KEPT = "plain, no bytecode", "plain, bytecode kept"
WAYS: Final = (
    Way(PLAIN_EMPTY, is_fresh=True),
    Way(PLAIN),
    Way(PACKAGE, is_package=True, is_fresh=True),
    Way(NO_AOT, variables=AOT_OFF),
    Way(NO_HEADERS, variables=HEADERS_OFF),
    Way(ONE_PROCESS, variables=WORKER_IN_CORE),
    Way(BARE, variables=NO_BYTECODE),
    Way(BARE_KEPT, variables={"PYTHONPYCACHEPREFIX": "{kept}"}),
    Way(CACHED, is_package=True, is_fresh=True, model=REPOSITORY),
    Way(OFFLINE, is_package=True, is_fresh=True, model=REPOSITORY, has_network=False),
)
# Started once before it counts; the others find what these have kept.
FILLING: Final = (PLAIN, PACKAGE, NO_AOT, NO_HEADERS, BARE_KEPT, CACHED)
# What is compared with what, for the table.
PAIRS: Final = (
    (PACKAGE, PLAIN_EMPTY),
    (PACKAGE, PLAIN),
    (NO_AOT, PLAIN),
    (NO_HEADERS, PLAIN),
    (ONE_PROCESS, PLAIN),
    (BARE_KEPT, BARE),
    (OFFLINE, CACHED),
)
# The second model computes enough for that to be what its rate tells.
BURSTS: Final = {"requests of 1 token": 1, "requests of 64 tokens": 64}
BUSY: Final = (PLAIN, PACKAGE, ONE_PROCESS)


@contextlib.contextmanager
def turn(lock: Path | None) -> Iterator[None]:
    """Have the machine to ourselves, where others keep to the same lock."""
    if lock is None:
        yield
        return
    # Whoever waits since our last turn is to have his before our next.
    time.sleep(TURN_PAUSE_S)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_models(folder: Path) -> dict[str, Way]:
    """Write both models; return what a way needs to serve either."""
    for name, changes in {
        "tiny": {},
        "small": {"hidden_size": 768, "intermediate_size": 2048}
        | {"num_hidden_layers": 8, "num_attention_heads": 12},
    }.items():
        (folder / name).mkdir()
        for file, content in tiny_files().items():
            (folder / name / file).write_bytes(content)
        config = folder / name / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    # Made up from a seed by vLLM itself, so that no file has to be written.
    dummy = ("--load-format", "dummy")
    return {
        "tiny": Way("", model=str(folder / "tiny")),
        "small": Way("", model=str(folder / "small"), arguments=dummy),
    }


def starter(folder: Path, way: Way, model: Way) -> EngineStart:
    """Return one start of a way; what plain vLLM keeps, and what the package keeps."""
    kind = "package" if way.is_package else "empty" if way.is_fresh else "plain"
    own = folder / f"{kind}-{Path(model.model).name}"
    own.mkdir(exist_ok=True)
    way = replace(way, model=way.model or model.model, arguments=model.arguments)
    return EngineStart(way, own, CACHE_GIB)


def measure_starts(
    folder: Path, model: Way, rounds: int, lock: Path | None
) -> tuple[dict[str, dict[str, list[float]]], set[str]]:
    """
    Start every way once per round.

    Args:
        folder: For all that is kept.
        model: What is served.
        rounds: How many; one before them fills the caches and does not count.
        lock: Taken for each round.
    Returns:
        By way seconds until ready, CPU seconds, and seconds until each mark; and all
        answers.
    """
    order = random.Random(3)  # noqa: S311  # no secret is made of it
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    said: set[str] = set()
    for number in range(rounds + 1):
        ways = [way for way in WAYS if number or way.name in FILLING]
        with turn(lock):
            for way in order.sample(ways, len(ways)):
                with starter(folder, way, model) as engine:
                    if way.has_network:
                        client = Completions(engine.port, KEY, NAME)
                        said.add(json.dumps(client.answers()))
                if number:
                    found = {READY: engine.ready_s, CPU: engine.cpu_s} | engine.marks
                    for name, found_s in found.items():
                        seconds[way.name][name].append(round(found_s, 2))
                sys.stderr.write(f"{number}: {engine.ready_s:6.1f} s {way.name}\n")
    return seconds, said


def measure_rates(
    folder: Path, model: Way, rounds: int, lock: Path | None
) -> tuple[dict[str, dict[str, list[float]]], set[str]]:
    """
    Keep engines busy in turns; all but the one whose turn it is are frozen.

    Returns:
        Tokens per second by kind of burst and way, and all answers.
    """
    order = random.Random(4)  # noqa: S311  # no secret is made of it
    series: dict[str, dict[str, list[float]]] = {
        kind: defaultdict(list) for kind in BURSTS
    }
    said: set[str] = set()
    with turn(lock), contextlib.ExitStack() as stack:
        engines = {
            way.name: stack.enter_context(starter(folder, way, model))
            for way in WAYS
            if way.name in BUSY
        }
        for number in range(rounds + 1):
            for name in order.sample(BUSY, len(BUSY)):
                client = Completions(engines[name].port, KEY, NAME)
                with contextlib.ExitStack() as others:
                    for other in BUSY:
                        if other != name:
                            others.enter_context(engines[other].frozen())
                    said.add(json.dumps(client.answers()))
                    for kind, tokens in BURSTS.items():
                        rates = client.rates(tokens, BURST_S)
                        if number:
                            series[kind][name].append(round(rates.tokens_per_s, 2))
    return series, said


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Measure everything; what is there is written after each part."""
    machine = describe_machine(vllm=version("vllm"))
    models = make_models(folder)
    seconds, said = measure_starts(
        folder, models["tiny"], arguments.rounds, arguments.lock
    )
    rates: dict[str, dict[str, dict[str, list[float]]]] = {}
    answers = {"tiny": [json.loads(one) for one in sorted(said)]}
    publish(make_document(machine, seconds, rates, answers))
    for name, model in models.items():
        rates[name], said = measure_rates(
            folder, model, arguments.bursts, arguments.lock
        )
        answers[f"{name}, busy"] = [json.loads(one) for one in sorted(said)]
        publish(make_document(machine, seconds, rates, answers))


def measure_one_rate(arguments: argparse.Namespace, folder: Path) -> None:
    """Measure the rates of one model, and put them into the results that are there."""
    name = arguments.rates
    found = json.loads((RESULTS / "restart_time.json").read_text())
    machine = found["machine"] | {f"{name}, busy": _moment()}
    model = make_models(folder)[name]
    rates, said = measure_rates(folder, model, arguments.bursts, arguments.lock)
    answers = {f"{name}, busy": [json.loads(one) for one in sorted(said)]}
    document = make_document(
        machine,
        found["seconds"],
        found["tokens_per_s"] | {name: rates},
        found["answers"] | answers,
    )
    publish(document | {"at": found["at"]})


def make_document(
    machine: dict[str, Any],
    seconds: dict[str, dict[str, list[float]]],
    rates: dict[str, dict[str, dict[str, list[float]]]],
    answers: dict[str, list[Any]],
) -> dict[str, Any]:
    """Return the results, as far as there are any."""
    return {
        "at": moment(),
        "machine": machine,
        "starts": {
            f"{way} / {base}, {kind}": asdict(
                ratio_of_pairs(seconds[way][kind], seconds[base][kind])
            )
            for kind in (READY, CPU)
            for way, base in PAIRS
        },
        "rates": {
            f"{model}, {kind}, {name}": asdict(
                ratio_of_pairs(by_way[name], by_way[PLAIN])
            )
            for model, kinds in rates.items()
            for kind, by_way in kinds.items()
            for name in BUSY
            if name != PLAIN
        },
        "different_answers": {name: len(one) for name, one in answers.items()},
        "answers": answers,
        "seconds": seconds,
        "tokens_per_s": rates,
    }


def _moment() -> str:
    """Return when, and how busy the machine was."""
    return f"{moment()[:10]} at a load average of {os.getloadavg()[0]:.2f}"


def format_tables(document: dict[str, Any]) -> str:
    """Return the results as tables for the documentation."""
    lines = ["| compared | ratio | 95 % interval | pairs |", "| --- " * 4 + "|"]
    lines += [_row(name, ratio) for name, ratio in document["starts"].items()]
    title = f"| tokens per second, {CONCURRENCY} clients, of plain | ratio"
    lines += ["", f"{title} | 95 % interval | pairs |", "| --- " * 4 + "|"]
    lines += [_row(name, ratio) for name, ratio in document["rates"].items()]
    names = (*MARKS, READY, CPU)
    lines += ["", f"| median seconds until | {' | '.join(names)} |"]
    lines.append("| --- " * (len(names) + 1) + "|")
    for way, by_name in document["seconds"].items():
        cells = [
            f"{statistics.median(by_name[name]):.1f}" if name in by_name else ""
            for name in names
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    machine = document["machine"]
    is_same = set(document["different_answers"].values()) == {1}
    facts = (
        f"Answers: {'identical' if is_same else 'DIFFERENT'} in all starts",
        f"measured {document['at'][:10]}",
        *machine_facts(machine),
        f"vLLM {machine['vllm']}",
        *(f"{name} on {told}" for name, told in machine.items() if "busy" in name),
    )
    lines += ["", f"{', '.join(facts)}."]
    return "\n".join(lines) + "\n"


def _row(name: str, figures: dict[str, Any]) -> str:
    ratio = Ratio(**figures)
    interval = f"{ratio.low:.3f} to {ratio.high:.3f}"
    return f"| {name} | {ratio.mean:.3f} | {interval} | {ratio.pairs} |"


def publish(document: dict[str, Any]) -> None:
    """Write the results: a run takes long, and a later part may fail."""
    write_results("restart_time", document, format_tables(document))


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bursts", type=int, default=20)
    parser.add_argument("--lock", type=Path)
    parser.add_argument("--rates", choices=("tiny", "small"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = measure_one_rate if arguments.rates else measure
        run(arguments, Path(folder))
    sys.stdout.write((RESULTS / "restart_time.md").read_text())


if __name__ == "__main__":
    main()

"""
Many processes that change one store: ``python -m support.crash.counting``.

A writer adds one to a counter again and again; a reader reads until its standard input
ends. Each prints what happened to it as JSON.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.crash import mutants
from support.settings_factory import make_settings
from vllm_pkg.errors import ServiceError, StateLocked
from vllm_pkg.state.store import Store, load_store, update_store

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

COUNTER: Final = "counter"
READER: Final = "reader"
WRITER: Final = "writer"
START_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Task:
    """
    What one process does.

    Args:
        role: ``reader`` or ``writer``.
        folder: Where the volumes are.
        count: How often a writer adds one.
        has_locks: Whether flock works; if not, it does nothing and says nothing.
        mutant: Which wrong writer takes the real one's place; empty means none.
    """

    role: str
    folder: str
    count: int = 0
    has_locks: bool = True
    mutant: str = ""


@dataclass
class Report:
    """
    What happened to one process.

    Args:
        done: Acknowledged changes, or reads.
        refused: How often it was told that another one was changing the file.
        errors: Everything else that was raised.
        wait_max_s: The longest that one change or read took, in seconds.
        seen: The counter as a reader saw it went backwards so many times.
    """

    done: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)
    wait_max_s: float = 0.0
    seen: int = 0


def run_tasks(tasks: list[Task], timeout_s: float) -> list[Report]:
    """Run each task in a process of its own, all at once; return their reports."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "support.crash.counting"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in tasks
    ]
    try:
        for process, task in zip(processes, tasks, strict=True):
            assert process.stdout is not None
            assert process.stdin is not None
            # All have imported everything before the first one begins.
            assert process.stdout.readline() == "ready\n"
            process.stdin.write(json.dumps(asdict(task)) + "\n")
        for process in processes:
            assert process.stdin is not None
            process.stdin.flush()
        order = sorted(range(len(tasks)), key=lambda i: tasks[i].role == READER)
        texts = {i: processes[i].communicate(timeout=timeout_s)[0] for i in order}
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [Report(**json.loads(texts[i])) for i in range(len(tasks))]


def count_of(settings: Settings) -> int:
    """Return the counter in the store."""
    return int(load_store(settings).document.get(COUNTER, 0))


def _add_one(store: Store) -> Store:
    count = store.document.get(COUNTER, 0) + 1
    return replace(store, document={**store.document, COUNTER: count})


def _write(task: Task, report: Report) -> None:
    settings = make_settings(Path(task.folder))
    while report.done + report.refused < task.count:
        began_s = time.monotonic()
        try:
            update_store(settings, _add_one)
        except StateLocked:
            report.refused += 1
        except (ServiceError, OSError) as error:
            report.errors.append(repr(error))
            return
        else:
            report.done += 1
        report.wait_max_s = max(report.wait_max_s, time.monotonic() - began_s)


def _read(task: Task, report: Report) -> None:
    settings = make_settings(Path(task.folder))
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,)).start()
    last = 0
    while not ended.wait(0.001):
        began_s = time.monotonic()
        try:
            count = count_of(settings)
        except (ServiceError, OSError) as error:
            report.errors.append(repr(error))
            continue
        report.done += 1
        report.seen += count < last
        last = count
        report.wait_max_s = max(report.wait_max_s, time.monotonic() - began_s)


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    """Do what standard input says, and print the report."""
    print("ready", flush=True)
    task = Task(**json.loads(sys.stdin.readline()))
    if not task.has_locks:
        fcntl.flock = lambda *_: None
    if task.mutant:
        mutants.apply(task.mutant)
    report = Report()
    (_read if task.role == READER else _write)(task, report)
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main()

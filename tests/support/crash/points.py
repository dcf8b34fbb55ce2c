"""
What all sweeps share: a program of its own that goes over the points one by one.

A program of its own because it forks, and because mutants replace parts of the package
in it. It reads what to do as JSON from its standard input and prints what it found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from support.crash import injection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KILL: Final = "signal=SIGKILL"
WHEN_MAX: Final = 2000
# Kills and failed calls are the same on every file system; here fsync costs nothing.
MEMORY: Final = Path("/dev/shm")  # noqa: S108
Case = TypeVar("Case")
Order = TypeVar("Order")


@dataclass(frozen=True)
class Point:
    """
    Where something is injected.

    Args:
        kind: To which kind of call what happens, such as ``fsync:error=EIO``.
        when: At the how manyth of those calls of a process, >= 1.
    """

    kind: str
    when: int

    def __str__(self) -> str:
        """Return it for messages."""
        return f"{self.kind} at {self.when}"


def run_program(module: str, order: Any) -> dict[str, Any]:
    """Run a sweep in a program of its own; return what it has found."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def read_order(kind: Callable[..., Order]) -> Order:
    """Return what standard input orders."""
    return kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.load(sys.stdin).items()
        }
    )


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory, where there is such a place."""
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    return tempfile.TemporaryDirectory(dir=place)


def go_over(
    cases: Sequence[Case],
    kinds: Sequence[str],
    every: int,
    hit_each: Callable[[list[Case], Point, Path], Sequence[str]],
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """
    Hit each case at each of its calls, for as long as it has further ones.

    Args:
        cases: What is hit.
        kinds: To which kind of call what happens; each is counted on its own.
        every: Which share of the points is tried: 1 means all, 3 each third.
        hit_each: Hits the cases it is given at a point, in an empty folder; returns
            for each the call that was hit, or nothing when it did not get that far.
        is_over: Whether enough has been found.
    """
    for number, kind in enumerate(kinds):
        todo = list(cases)
        for when in range(1 + number % every, WHEN_MAX, every):
            with memory_folder() as folder:
                hits = hit_each(todo, Point(kind, when), Path(folder))
            todo = [case for case, hit in zip(todo, hits, strict=True) if hit]
            if is_over():
                return
            if not todo:
                break


def run_heard(
    programs: Sequence[Callable[[int], None]], point: Point
) -> list[tuple[str, list[str]]]:
    """
    Run programs as `injection.run_injected` does, each with a descriptor to write to.

    Returns:
        For each the call that was hit, and the lines that it has written.
    """
    pipes = [os.pipe() for _ in programs]
    hits = injection.run_injected(
        [
            partial(program, writer)
            for program, (_, writer) in zip(programs, pipes, strict=True)
        ],
        point.kind,
        point.when,
    )
    heard = []
    for hit, (reader, writer) in zip(hits, pipes, strict=True):
        os.close(writer)
        with os.fdopen(reader) as stream:
            heard.append((hit, stream.read().splitlines()))
    return heard

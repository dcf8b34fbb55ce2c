"""
Logs of failed starts, one for each named cause: tests/data/engine-logs.

A file begins with lines ``# name: value``: ``source`` (a real start, or whose message
it is), ``exit`` (the exit status), ``change`` (the change it must propose, in words).
``healthy.log`` is a start that succeeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "engine-logs"
HEALTHY = "healthy"


@dataclass(frozen=True)
class EngineLog:
    """
    One log.

    Args:
        cause: The cause that must be found in it; ``healthy``: none.
        source: Where it comes from.
        exit_code: How the engine ended.
        change: The change that must be proposed; empty: none.
        lines: The log.
    """

    cause: str
    source: str
    exit_code: int
    change: str
    lines: tuple[str, ...]


def load_logs() -> tuple[EngineLog, ...]:
    """Return every log, in the order of the causes' names."""
    return tuple(_load(path) for path in sorted(FOLDER.glob("*.log")))


def _load(path: Path) -> EngineLog:
    lines = path.read_text(encoding="utf-8").splitlines()
    heads = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    head = dict(text.split(": ", 1) for text in heads)
    return EngineLog(
        cause=path.stem,
        source=head["source"],
        exit_code=int(head["exit"]),
        change=head.get("change", ""),
        lines=tuple(lines[len(heads) :]),
    )

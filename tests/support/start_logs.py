"""The recorded logs of starts, line by line with their times."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "starts"


def read_start_log(name: str) -> list[tuple[float, str]]:
    """Return the lines of a log with the seconds at which each came."""
    text = (FOLDER / f"{name}-0.32.0.log").read_text(encoding="utf-8")
    parts = [line.split(" ", 1) for line in text.splitlines()]
    return [(float(seconds), line) for seconds, line in parts]

"""A rule about source code: durations are not measured by the wall clock."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WALL = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "keys.now_utc"}
_REALTIME = {"time.CLOCK_REALTIME"}


def find_wall_clocks(code: str) -> list[int]:
    """
    Return the lines that could measure a duration by the wall clock.

    ``time.time`` is one wherever it stands; a date is one where it is subtracted or
    compared, and none where it is written down for people.
    """
    return sorted(set(_find(ast.parse(code))))


def _find(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if _name(node) in {"time.time", "time.time_ns"} | _REALTIME:
            yield node.lineno  # type: ignore[attr-defined]
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield node.lineno
        is_arithmetic = isinstance(node, ast.Compare) or (
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)
        )
        if is_arithmetic:
            sides = ast.iter_child_nodes(node)
            called = {_name(s.func) for s in sides if isinstance(s, ast.Call)}
            if called & _WALL:
                yield node.lineno  # type: ignore[attr-defined]


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""

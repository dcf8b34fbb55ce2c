"""A rule about source code: what is secret is never compared by an operator."""

from __future__ import annotations

import ast

_NAMES = {"token", "digest", "hash", "secret", "password", "presented", "api_key"}
_ENDINGS = tuple(f"_{name}" for name in sorted(_NAMES | {"key"}))


def find_comparisons(code: str) -> list[int]:
    """
    Return the lines on which ``==`` or ``!=`` meets something with a secret's name.

    Names in capital letters are constants, such as the name of a header. ``key`` alone
    is mostly one of a dictionary; modules that handle keys have a stricter rule.
    """
    return [
        node.lineno
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Compare)
        and any(isinstance(item, ast.Eq | ast.NotEq) for item in node.ops)
        and any(_is_secret(side) for side in (node.left, *node.comparators))
    ]


def _is_secret(node: ast.expr) -> bool:
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    name = getattr(node, "id", None) or getattr(node, "attr", None) or ""
    if name.isupper():
        return False
    return name in _NAMES or name.endswith(_ENDINGS)

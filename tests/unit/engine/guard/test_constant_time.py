"""T29: nothing that is secret is compared by ``==``, which stops at a difference."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vllm_pkg
from vllm_pkg.engine.guard import middleware

PACKAGE = Path(vllm_pkg.__file__).parent
SECRET = {"token", "digest", "hash", "secret", "key", "api_key", "presented"}


def compared(code):
    """Return the lines on which something with a secret's name is compared."""
    lines = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Compare):
            continue
        kinds = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
        names = {
            getattr(side, "id", None) or getattr(side, "attr", None)
            for side in (node.left, *node.comparators)
        }
        if any(isinstance(item, kinds) for item in node.ops) and names & SECRET:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "path",
    [
        *sorted((PACKAGE / "engine" / "guard").glob("*.py")),
        PACKAGE / "state" / "secrets.py",
        PACKAGE / "state" / "credentials.py",
    ],
    ids=lambda path: path.name,
)
def test_secrets_are_compared_in_constant_time(path):
    """No module that handles keys compares one by an operator."""
    assert compared(path.read_text()) == []


@pytest.mark.parametrize(
    "code",
    ["token == given", "given != entry.digest", "key in keys", "a == b == secret"],
)
def test_the_rule_finds_what_it_forbids(code):
    """Each way to compare a secret by an operator is found."""
    assert compared(f"x = 1\n{code}\n") == [2]


def test_the_guard_is_among_the_modules():
    """The rule reads the module that vLLM loads."""
    assert Path(middleware.__file__).parent == PACKAGE / "engine" / "guard"

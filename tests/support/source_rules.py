"""
Rules about the source code that a linter does not know.

What can break a promise (durable files, no survivors) is done in one module each, so
that there is one place to read and to test.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES_MAX = 400
FILES = "state/atomic.py"
PROCESSES = "engine/processes.py"
# Models stand below the engine: what transfers one is started and ended in a module of
# its own, and the file that grows is synced where it is written.
TRANSFERS = "models/download/child.py"
PARTS = "models/download/part_file.py"
# What goes on without the program that started it.
BACKGROUND = "engine/background.py"
# What is asked of a program of our own, which ends with us.
APART = "engine/apart.py"
EXEMPT = {
    (APART, "subprocess.run"),
    (TRANSFERS, "subprocess.Popen"),
    (TRANSFERS, "kill"),
    (BACKGROUND, "subprocess.Popen"),
    (PARTS, "os.fdatasync"),
}
# Function of a module: the one file that may call it.
CALLS = {
    "os.replace": FILES,
    "os.rename": FILES,
    "os.fsync": FILES,
    "os.fdatasync": FILES,
    "subprocess.Popen": PROCESSES,
    "subprocess.run": PROCESSES,
    "subprocess.call": PROCESSES,
    "subprocess.check_call": PROCESSES,
    "subprocess.check_output": PROCESSES,
    "os.kill": PROCESSES,
    "os.killpg": PROCESSES,
    "signal.pidfd_send_signal": PROCESSES,
    "os.system": "nowhere",
    "os.popen": "nowhere",
    "os.fork": "nowhere",
}
# Of any object: pathlib's way to rename, and what ends a process.
METHODS = {
    "rename": FILES,
    "kill": PROCESSES,
    "terminate": PROCESSES,
    "send_signal": PROCESSES,
}


def find_violations(package: Path) -> list[str]:
    """
    Return what breaks a rule in the modules under a folder.

    Args:
        package: The folder.
    Returns:
        One text per violation, such as ``cli/main.py:3: os.kill``, in order.
    """
    found = []
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        text = path.read_text(encoding="utf-8")
        if path.name == "utils.py":
            found.append(f"{name}:1: a module named utils")
        count = len(text.splitlines())
        if count > LINES_MAX:
            found.append(f"{name}:{LINES_MAX + 1}: {count} lines")
        found += [
            f"{name}:{line}: {what}" for line, what in _in_module(name, ast.parse(text))
        ]
    return found


def _in_module(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called = f"{node.value.id}.{node.attr}"
            if _is_elsewhere(name, called) and _is_runtime(tree, node):
                yield node.lineno, called
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                called = f"{node.module}.{alias.name}"
                if _is_elsewhere(name, called):
                    yield node.lineno, called
        if isinstance(node, ast.Call):
            yield from _in_call(name, node)


def _in_call(name: str, node: ast.Call) -> Iterator[tuple[int, str]]:
    for keyword in node.keywords:
        constant = keyword.value
        if (
            keyword.arg == "shell"
            and isinstance(constant, ast.Constant)
            and constant.value
        ):
            yield node.lineno, "shell=True"
    function = node.func
    if isinstance(function, ast.Attribute):
        home = METHODS.get(function.attr)
        is_named = isinstance(function.value, ast.Name) and function.value.id == "os"
        is_exempt = (name, function.attr) in EXEMPT
        if home and name != home and not is_named and not is_exempt:
            yield node.lineno, f".{function.attr}()"


def _is_elsewhere(name: str, called: str) -> bool:
    if called.startswith(("os.exec", "os.spawn", "os.posix_spawn")):
        return name != PROCESSES
    return called in CALLS and name != CALLS[called] and (name, called) not in EXEMPT


def _is_runtime(tree: ast.Module, node: ast.Attribute) -> bool:
    """Whether a name is used at run time, and not only in an annotation."""
    for parent in ast.walk(tree):
        annotations = [
            getattr(parent, "annotation", None),
            getattr(parent, "returns", None),
        ]
        for annotation in annotations:
            if annotation is not None and node in ast.walk(annotation):
                return False
    return True

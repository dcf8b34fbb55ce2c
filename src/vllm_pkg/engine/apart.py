"""
Calling a function in a program of its own: ``python -m vllm_pkg.engine.apart``.

What the function imports, such as the Hub's client, leaves the memory with it. A
program that mostly waits stays small that way.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from vllm_pkg.engine import prctl
from vllm_pkg.errors import EngineError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE: Final = "vllm_pkg.engine.apart"
T = TypeVar("T")


def call_apart(function: Callable[..., T], *arguments: Any) -> T:
    """
    Call a function of this package, and return what it returns.

    The program ends with us. Its standard error is ours.

    Args:
        function: One that a module has under its name.
        arguments: Plain values, as the result has to be.
    Raises:
        ServiceError: what the function raises.
        EngineError: the program cannot be started, or has crashed.
    """
    asked = pickle.dumps((function, arguments))
    try:
        done = subprocess.run(  # noqa: S603  # our own module, no shell
            [sys.executable, "-P", "-m", MODULE],
            input=asked,
            stdout=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise EngineError(f"no program can be started: {error.strerror}") from error
    if done.returncode != 0:
        raise EngineError(f"{function.__name__} ended with code {done.returncode}")
    # Our own program wrote it, through a pipe that nobody else has.
    result: T | ServiceError = pickle.loads(done.stdout)  # noqa: S301
    if isinstance(result, ServiceError):
        raise result
    return result


def main() -> int:
    """Do what standard input says, and write what came of it to standard output."""
    if not prctl.end_with_parent():
        return 1
    # What the function prints must not stand in the answer.
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301  # as above
    try:
        result = function(*arguments)
    except ServiceError as error:
        result = error
    with open(answer, "wb") as stream:  # noqa: PTH123  # a descriptor
        pickle.dump(result, stream)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""
A fake of how the installer runs programs.

It says that it is one because real runs of pip take minutes and gigabytes; the real
installation is proven by scripts/fresh-machine. It keeps what it was asked to run, and
does what the test tells it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class FakeRunner:
    """
    Stands in for `vllm_pkg.engine.processes.run_command`.

    Args:
        answer: Takes the command as one text; returns an exit code, and what the
            program prints.
    """

    def __init__(self, answer: Callable[[str], tuple[int, str]]) -> None:
        self.answer = answer
        self.commands: list[str] = []

    def __call__(
        self,
        argv: Sequence[str],
        *,
        log_file: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Keep the command, let the test answer, and write what it printed."""
        assert env is None
        command = " ".join(argv)
        self.commands.append(command)
        code, output = self.answer(command)
        if log_file is not None:
            with log_file.open("a") as log:
                log.write(output)
        return code

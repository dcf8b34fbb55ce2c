"""How the installer runs other programs, which tests replace by a fake."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


_PIP: Final = ("--disable-pip-version-check", "--no-input", "--progress-bar=off")


class RunCommand(Protocol):
    """Runs a program to its end, its output appended to a file."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        log_file: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Return the exit code of the program."""
        ...


def pip_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs pip for the Python that runs."""
    return [sys.executable, "-m", "pip", arguments[0], *_PIP, *arguments[1:]]

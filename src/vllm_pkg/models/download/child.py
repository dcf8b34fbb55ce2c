"""
Starting and ending the program that transfers: the only module that does either.

`engine.processes` does the same for the engine; models stand below the engine and may
not import it.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Self

from vllm_pkg.models.download.messages import parse_told
from vllm_pkg.models.download.worker import MODULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.models.download.messages import Request, Told

_READ_BYTES: Final = 1024**2
_ENDING_S: Final = 5.0


class Child:
    """
    The running program; a context manager that leaves none behind.

    Args:
        request: What it shall do.
        environ: Its whole environment.
    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, request: Request, environ: Mapping[str, str]) -> None:
        self._rest = b""
        self._process = subprocess.Popen(  # noqa: S603  # our own module, no shell
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            # Ctrl-C is for us: we end it, and what has arrived stays.
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101  # we asked for a pipe
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request.as_line())
            self._process.stdin.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it, if it still runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def exit_code(self) -> int | None:
        """How it ended; None: it still runs, though it says nothing any more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_ENDING_S)
        return None

    def read(self, timeout_s: float) -> list[Told] | None:
        """
        Return what it has told since the last call.

        Args:
            timeout_s: How long to wait for something.
        Returns:
            What it told, maybe nothing; None: it has told everything it ever will.
        """
        assert self._process.stdout is not None  # noqa: S101  # we asked for a pipe
        descriptor = self._process.stdout.fileno()
        if not select.select([descriptor], [], [], timeout_s)[0]:
            return []
        data = os.read(descriptor, _READ_BYTES)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [parse_told(line) for line in lines]

"""
The program ``python -m vllm_pkg.engine.recorder``: the daemon starts it.

Its stdin is the pipe that the engine writes to. It ends when everybody who could write
there has ended, and by nothing else: what an engine says last matters most.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vllm_pkg.clock import BootClock
from vllm_pkg.engine.recorder.copying import copy_output
from vllm_pkg.engine.recorder.hiding import Hider
from vllm_pkg.engine.recorder.log_file import StartLog
from vllm_pkg.engine.recorder.output import Output
from vllm_pkg.engine.recorder.watcher import StartWatcher
from vllm_pkg.settings import load_settings
from vllm_pkg.state import records

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.records import StartRecord


def main() -> None:
    """Record one start."""
    clock = BootClock()
    settings = load_settings(os.environ)
    start = records.read_start(settings)
    log_file = Path(start.log_file) if start and start.log_file else None
    log = StartLog(log_file)
    watcher = _watcher(settings, start, clock)
    output = Output(sys.stdout.fileno())
    hider = Hider(_handed_over(sys.argv[1:]))
    copy_output(sys.stdin.fileno(), output, log, watcher, clock, hider=hider)
    output.close()
    log.close()


def _handed_over(arguments: list[str]) -> bytes:
    """Return what must not be repeated, from the descriptor that an argument names."""
    if not arguments:
        return b""
    with open(int(arguments[0]), "rb") as stream:  # noqa: PTH123  # a descriptor
        return stream.read()


def _watcher(
    settings: Settings, start: StartRecord | None, clock: BootClock
) -> StartWatcher | None:
    try:
        return None if start is None else StartWatcher(settings, start, clock)
    except ValueError:
        # A record of another version: the output is copied all the same.
        return None


if __name__ == "__main__":
    main()

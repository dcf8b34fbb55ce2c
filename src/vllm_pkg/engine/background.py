"""
Starting what goes on without us: it outlives the program that started it.

`engine.processes` starts what ends together with us, and sends the signals.
"""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING

from vllm_pkg.clock import BootClock
from vllm_pkg.state.identity import ProcessIdentity, started_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def start_in_background(
    argv: Sequence[str], log_file: Path, env: Mapping[str, str]
) -> ProcessIdentity:
    """
    Start a program in a session of its own, and go on.

    A signal to our process group does not reach it. When the host ends, it ends it as
    everything below it.

    Args:
        argv: Program and arguments; no shell is involved.
        log_file: Its output is appended there.
        env: Its whole environment.
    Raises:
        OSError: the program cannot be started, or the log file not be written.
    """
    with log_file.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603  # our own module, no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=dict(env),
            start_new_session=True,
        )
    # Somebody has to take its exit status for as long as we are its parent.
    threading.Thread(target=process.wait, daemon=True).start()
    return ProcessIdentity(
        process.pid, started_ticks(process.pid) or 0, BootClock().boot_id()
    )

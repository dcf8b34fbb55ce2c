"""The recorder's loop: from the engine's pipe to stdout and the log, until its end."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from vllm_pkg.clock import Clock
    from vllm_pkg.engine.recorder.hiding import Hider
    from vllm_pkg.engine.recorder.log_file import StartLog
    from vllm_pkg.engine.recorder.output import Output

CHUNK_BYTES: Final = 1024 * 1024


class Watcher(Protocol):
    """Who makes something of what passes by."""

    def wait_s(self) -> float | None:
        """Return after how long it wants to look; None: never."""
        ...

    def feed(self, chunk: bytes) -> None:
        """Take what came."""
        ...

    def look(self) -> None:
        """Do what is to be done when nothing comes."""
        ...


def copy_output(
    source: int,
    output: Output,
    log: StartLog,
    watcher: Watcher | None,
    clock: Clock,
    *,
    hider: Hider,
) -> None:
    """
    Copy until all who could write have ended.

    Args:
        source: The reading end of the engine's pipe.
        output: Where it goes, unchanged but for the key.
        log: Where it is kept.
        watcher: Who makes something of it; None: nobody does.
        clock: Boot time.
        hider: Who takes the engine's key out of it.
    """
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while True:
        wait_s = None if watcher is None else watcher.wait_s()
        if not poll.poll(None if wait_s is None else wait_s * 1000):
            watcher = _guarded(watcher, None)
            continue
        read = os.read(source, CHUNK_BYTES)
        chunk = hider.hide(read) if read else hider.end()
        if chunk:
            output.write(chunk)
            log.write(chunk, clock.now_s())
            watcher = _guarded(watcher, chunk)
        if not read:
            return


def _guarded(watcher: Watcher | None, chunk: bytes | None) -> Watcher | None:
    """Let the watcher work; one that fails is given up, for the engine must go on."""
    if watcher is None:
        return None
    try:
        if chunk is None:
            watcher.look()
        else:
            watcher.feed(chunk)
    except Exception:  # noqa: BLE001  # without a reader of its pipe the engine ends
        return None
    return watcher

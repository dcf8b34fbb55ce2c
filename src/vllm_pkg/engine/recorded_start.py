"""Which file holds what the engine's last start has written, to its last word."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vllm_pkg.clock import BootClock
from vllm_pkg.state import records
from vllm_pkg.state.identity import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm_pkg.settings import Settings

LOOK_S: Final = 0.1
LOOKS: Final = 30


def last_log(
    settings: Settings, sleep: Callable[[float], None] = time.sleep
) -> Path | None:
    """
    Return the log of the engine's last start, once all of it is there.

    What an engine says last is still on its way to the file when it has ended: the
    recorder that writes it is waited for, though not for long.

    Args:
        settings: Where records and logs are.
        sleep: Waits for some seconds.
    Returns:
        None for a start that was not recorded.
    """
    start = records.read_start(settings)
    if start is None or start.recorder is None or start.log_file is None:
        return None
    boot_id = BootClock().boot_id()
    for _ in range(LOOKS):
        if not is_alive(start.recorder, boot_id):
            break
        sleep(LOOK_S)
    log = Path(start.log_file)
    return log if log.is_file() else None

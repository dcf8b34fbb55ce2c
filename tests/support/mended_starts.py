"""Engines that fail as vLLM did once, unless the change that mends it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.engine_logs import load_logs

if TYPE_CHECKING:
    from pathlib import Path


def failing_variables(folder: Path, cause: str, cure: str) -> dict[str, str]:
    """
    Return variables with which the fake engine fails, as a recorded log tells.

    Args:
        folder: Where the log is put down.
        cause: Id of the cause, as the log's file is called.
        cure: Arguments with which it comes up all the same.
    """
    (log,) = (log for log in load_logs() if log.cause == cause)
    file = folder / f"{cause}.txt"
    file.write_text("\n".join(log.lines))
    return {"FAKE_LOG": str(file), "FAKE_CURE": cure}

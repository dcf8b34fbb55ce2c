"""In which log the last failure is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import StateUnreadable
from vllm_pkg.portal.logs.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.service.log_list import Log

ENGINE_LOG_ID: Final = "engine"
_STARTS_READ_MAX: Final = 3


def log_of_failure(logs: Sequence[Log], evidence: str) -> str:
    """
    Return the id of the log that has the line of a failure.

    Args:
        logs: All there are, the logs of starts newest first.
        evidence: The line, as the failure names it.
    """
    starts = [log for log in logs if log.started_at is not None]
    for log in starts[:_STARTS_READ_MAX]:
        if _has(Tail(log.path), evidence):
            return log.id
    return ENGINE_LOG_ID


def _has(tail: Tail, evidence: str) -> bool:
    before = ""
    try:
        for piece in tail.history():
            if evidence in before + piece:
                return True
            before = piece[-len(evidence) :]
    except StateUnreadable:
        return False
    finally:
        tail.close()
    return False

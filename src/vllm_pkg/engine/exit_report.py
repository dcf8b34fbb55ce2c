"""
Why an engine ended: a pure reading of its exit status and the end of its log.

The first line that names an error wins: the last ones are always generic
(reference: "Engine core initialization failed. See root cause above").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.gpu_memory import HOLDER_MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

START_MARK: Final = "=== vllm-pkg: engine start"
TAIL_LINES: Final = 20
CAUSE_LENGTH_MAX: Final = 300
# 2: vLLM refused an argument. 3, 74, 77, 78: our own permanent failures.
FINAL_EXIT_CODES: Final = frozenset({2, 3, 74, 77, 78})

_PREFIX: Final = re.compile(
    r"^(\(\w+ pid=\d+\)\s*)?(ERROR [\d-]+ [\d:]+ \[[^\]]*\]\s*)?"
)
_CAUSE: Final = re.compile(
    r"^(?:vllm(?: serve)?: error: |error: |[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)"
    r"(?:: |$))"
)
_GENERIC: Final = re.compile(
    r"Engine core initialization failed|EngineCore failed to start|EngineDeadError"
    r"|WorkerProc initialization failed"
)
_NO_MEMORY: Final = re.compile(
    r"(?i)out of ?memory|free memory on device|no available memory"
)
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class ExitReport:
    """
    What to tell about an engine that ended by itself.

    Args:
        summary: One sentence with exit status and cause.
        hint: One sentence: what to do.
        is_final: Whether starting it again would only fail again.
        log_tail: The last lines of the log.
    """

    summary: str
    hint: str
    is_final: bool
    log_tail: tuple[str, ...]


def report_exit(exit_code: int, lines: Sequence[str]) -> ExitReport:
    """
    Report on an engine's end.

    Args:
        exit_code: Exit status; negative for any signal (supervisord does not tell
            which).
        lines: The log of this start, or the end of it.
    """
    clean = [_ANSI.sub("", line).rstrip() for line in lines]
    cause = find_cause(clean)
    status = _status(exit_code)
    summary = f"The engine ended with {status}"
    is_final = exit_code in FINAL_EXIT_CODES
    return ExitReport(
        summary=f"{summary}: {cause}." if cause else f"{summary}.",
        hint=_holder_hint(cause, clean) or _hint(exit_code, is_final=is_final),
        is_final=is_final,
        log_tail=tuple(clean[-TAIL_LINES:]),
    )


def find_cause(lines: Sequence[str]) -> str | None:
    """Return the first line that names a specific error, without its prefix."""
    generic = None
    for line in lines:
        text = _PREFIX.sub("", line).strip()
        if not _CAUSE.match(text):
            continue
        text = text.removeprefix("error: ")[:CAUSE_LENGTH_MAX].rstrip(".")
        if not _GENERIC.search(text):
            return text
        generic = generic or text
    return generic


def _holder_hint(cause: str | None, lines: Sequence[str]) -> str | None:
    """Return who held the GPU's memory when that was what was missing, or None."""
    if cause is None or not _NO_MEMORY.search(cause):
        return None
    holders = "; ".join(line for line in lines if line.startswith(HOLDER_MARK))
    return (
        f"{holders}. End that program, or choose a smaller model." if holders else None
    )


def _status(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else "a signal"


def _hint(exit_code: int, *, is_final: bool) -> str:
    if exit_code < 0:
        return "The machine may be out of memory; if so, choose a smaller model."
    if is_final:
        return 'Correct the model or its arguments with the "Set Model" action.'
    return "See the service logs for the rest."

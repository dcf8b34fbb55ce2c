"""
Why an engine ended: a pure reading of its exit status and its log.

A named cause out of the table of `diagnosis` wins; without one, the first line that
names an error: the last ones are always generic (reference: "Engine core initialization
failed. See root cause above").
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.diagnosis.changes import describe_changes
from vllm_pkg.engine.diagnosis.lines import LINE_CHARACTERS_MAX, plain_text, read_line
from vllm_pkg.engine.diagnosis.matcher import Diagnosis
from vllm_pkg.engine.diagnosis.rules import load_causes
from vllm_pkg.engine.gpu_memory import HOLDER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.engine.diagnosis.matcher import Cause
    from vllm_pkg.state.records import SettingChange

START_MARK: Final = "=== vllm-pkg: engine start"
TAIL_LINES: Final = 20
CAUSE_LENGTH_MAX: Final = 300
HOLDERS_MAX: Final = 16
# 2: vLLM refused an argument. 3, 74, 77, 78: our own permanent failures.
FINAL_EXIT_CODES: Final = frozenset({2, 3, 74, 77, 78})

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


@dataclass(frozen=True)
class ExitReport:
    """
    What to tell about an engine that ended by itself.

    Args:
        summary: One sentence with exit status and cause, or two.
        hint: What to do.
        is_final: Whether starting it again would only fail again.
        log_tail: The last lines of the log.
        cause: Id of the named cause, None when there is none.
        explanation: What the cause means, in whole sentences.
        evidence: The line of the log that told the cause.
        changes: The settings that would help, all together.
    """

    summary: str
    hint: str
    is_final: bool
    log_tail: tuple[str, ...]
    cause: str | None = None
    explanation: str | None = None
    evidence: str | None = None
    changes: tuple[SettingChange, ...] = ()


def report_exit(exit_code: int, lines: Iterable[str]) -> ExitReport:
    """
    Report on an engine's end.

    Args:
        exit_code: Exit status; negative for any signal (supervisord does not tell
            which).
        lines: The log of this start, read once, from the first line to the last.
    """
    reading = _Reading()
    for line in lines:
        reading.feed(line)
    named = reading.diagnosis.finish(exit_code)
    is_final = exit_code in FINAL_EXIT_CODES or (named is not None and named.is_final)
    summary = f"The engine ended with {_status(exit_code)}"
    holders = reading.holder_hint()
    if named is None:
        cause = reading.cause
        return ExitReport(
            summary=f"{summary}: {cause}." if cause else f"{summary}.",
            hint=holders or _hint(exit_code, is_final=is_final),
            is_final=is_final,
            log_tail=reading.tail,
        )
    return ExitReport(
        summary=f"{summary}. {named.explanation}",
        hint=f"{holders} {_fix(named)}" if holders else _fix(named),
        is_final=is_final,
        log_tail=reading.tail,
        cause=named.id,
        explanation=named.explanation,
        evidence=named.evidence,
        changes=named.changes,
    )


def find_cause(lines: Iterable[str]) -> str | None:
    """Return the first line that names a specific error, without its prefix."""
    reading = _Reading()
    for line in lines:
        reading.feed(line)
    return reading.cause


class _Reading:
    """What is kept of a log while it passes by: little, however long it is."""

    def __init__(self) -> None:
        self.diagnosis = Diagnosis(load_causes())
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._specific: str | None = None
        self._generic: str | None = None
        self._holders: list[str] = []

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines, without colours."""
        return tuple(plain_text(raw) for raw in self._tail)

    @property
    def cause(self) -> str | None:
        """The first line that names a specific error, else the first generic one."""
        return self._specific or self._generic

    def feed(self, raw: str) -> None:
        """Read the next line."""
        line = read_line(raw)
        self.diagnosis.feed(line)
        self._tail.append(raw[:LINE_CHARACTERS_MAX])
        if line.text.startswith(HOLDER_MARK) and len(self._holders) < HOLDERS_MAX:
            self._holders.append(line.text)
        if line.is_error and self._specific is None:
            self._look_for_error(line.text.strip())

    def _look_for_error(self, text: str) -> None:
        if not _CAUSE.match(text):
            return
        text = text.removeprefix("error: ")[:CAUSE_LENGTH_MAX].rstrip(".")
        if not _GENERIC.search(text):
            self._specific = text
        else:
            self._generic = self._generic or text

    def holder_hint(self) -> str | None:
        """Return who held the GPU's memory when that was what was missing, or None."""
        if self.cause is None or not _NO_MEMORY.search(self.cause):
            return None
        holders = "; ".join(self._holders)
        return (
            f"{holders}. End that program, or choose a smaller model."
            if holders
            else None
        )


def _fix(cause: Cause) -> str:
    if not cause.changes:
        return cause.fix
    offer = describe_changes(cause.changes)
    return f'{cause.fix} The "Apply Fix" action can do it: {offer}.'


def _status(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else "a signal"


def _hint(exit_code: int, *, is_final: bool) -> str:
    if exit_code < 0:
        return "The machine may be out of memory; if so, choose a smaller model."
    if is_final:
        return 'Correct the model or its arguments with the "Set Model" action.'
    return "See the service logs for the rest."

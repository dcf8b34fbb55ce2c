"""
Why an engine ended, or was not started: a pure reading of exit status, log or error.

A named cause out of the table of `diagnosis` wins; without one, the first line that
names an error: the last ones are always generic (reference: "Engine core initialization
failed. See root cause above").
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.diagnosis.changes import (
    describe_changes,
    options_with_value,
    useful_changes,
)
from vllm_pkg.engine.diagnosis.lines import LINE_CHARACTERS_MAX, plain_text, read_line
from vllm_pkg.engine.diagnosis.matcher import Diagnosis
from vllm_pkg.engine.diagnosis.rules import load_causes
from vllm_pkg.engine.gpu_memory import HOLDER_MARK
from vllm_pkg.engine.options import load_options
from vllm_pkg.errors import ModelDoesNotFit, PortInUse, as_sentence
from vllm_pkg.models.download.errors import RevisionNotFound
from vllm_pkg.state.records import SettingChange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.engine.diagnosis.changes import Selection
    from vllm_pkg.engine.diagnosis.matcher import Cause
    from vllm_pkg.errors import ServiceError

START_MARK: Final = "=== vllm-pkg: engine start"
TAIL_LINES: Final = 20
CAUSE_LENGTH_MAX: Final = 300
HOLDERS_MAX: Final = 16
# 2: vLLM refused an argument. 3, 73, 74, 77, 78: our own permanent failures.
FINAL_EXIT_CODES: Final = frozenset({2, 3, 73, 74, 77, 78})
# Of those, the ones that another selection mends.
_SELECTION_EXIT_CODES: Final = frozenset({2, 3, 78})
# Our own failures that may pass by themselves.
TRY_LATER_EXIT_CODE: Final = 75
# This one seldom does: who has a port keeps it.
_PORT_CAUSE: Final = PortInUse.code
REVISION_OPTIONS: Final = ("--revision", "--tokenizer-revision", "--code-revision")

KILLED_EXIT_CODE: Final = -9
_END: Final = "The engine ended"
_SEE_LOGS: Final = "See the service logs for the rest."
# What vLLM says when it gets a signal to end, while it serves and while it loads.
# Source: vLLM 0.32, entrypoints/launchers/launcher.py and api_server/entry.py.
_STOP_MARKS: Final = (
    "[shutdown] API server: shutdown triggered",
    "KeyboardInterrupt: terminated",
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


def report_exit(
    exit_code: int, lines: Iterable[str], selected: Selection | None = None
) -> ExitReport:
    """
    Report on an engine's end.

    Args:
        exit_code: Exit status; negative for any signal (supervisord does not tell
            which).
        lines: The log of this start, read once, from the first line to the last.
        selected: What was served: only what it has can be taken away; None: it is not
            known.
    """
    reading = _read(lines)
    named = reading.diagnosis.finish(exit_code)
    summary = f"The engine ended with {_status(exit_code)}"
    report = (
        _unnamed_report(reading, summary, _hint(exit_code))
        if named is None
        else _named_report(reading, summary, named, selected)
    )
    return replace(report, is_final=report.is_final or is_final_exit(exit_code))


def report_end(
    lines: Iterable[str], selected: Selection | None, *, is_short_of_memory: bool
) -> ExitReport | None:
    """
    Report on an engine's end whose exit status nobody has seen.

    Args:
        lines: As `report_exit` takes them.
        selected: As `report_exit` takes it.
        is_short_of_memory: Whether the kernel has ended programs for want of memory
            since the engine's start.
    Returns:
        None when the log has no error that would have ended it, as after a stop: it may
        have been ended from outside.
    """
    reading = _read(lines)
    if reading.is_stopped:
        return None
    named = reading.diagnosis.finish(None)
    is_told = reading.cause is not None and not reading.diagnosis.is_serving
    if named is None and not is_told and is_short_of_memory:
        named = reading.diagnosis.finish(KILLED_EXIT_CODE)
    if named is not None:
        return _named_report(reading, _END, named, selected)
    return _unnamed_report(reading, _END, _SEE_LOGS) if is_told else None


def _read(lines: Iterable[str]) -> _Reading:
    reading = _Reading()
    for line in lines:
        reading.feed(line)
    return reading


def _unnamed_report(reading: _Reading, summary: str, hint: str) -> ExitReport:
    cause = reading.cause
    return ExitReport(
        summary=f"{summary}: {cause}." if cause else f"{summary}.",
        hint=reading.holder_hint() or hint,
        is_final=False,
        log_tail=reading.tail,
    )


def _named_report(
    reading: _Reading, summary: str, named: Cause, selected: Selection | None
) -> ExitReport:
    changes = named.changes
    if selected is not None:
        changes = useful_changes(*selected, changes, load_options())
    hints = (reading.holder_hint(), named.fix, _offer(changes))
    return ExitReport(
        summary=f"{summary}. {named.explanation}",
        hint=" ".join(filter(None, hints)),
        is_final=named.is_final,
        log_tail=reading.tail,
        cause=named.id,
        explanation=named.explanation,
        evidence=named.evidence,
        changes=changes,
    )


def is_passing(exit_code: int | None, cause: str | None) -> bool:
    """
    Whether what ended a start passes by itself, so that trying again has no end.

    Args:
        exit_code: Exit status; None when it is not known.
        cause: Id of the named cause; None when there is none.
    """
    return exit_code == TRY_LATER_EXIT_CODE and cause != _PORT_CAUSE


def report_error(error: ServiceError, selected: Selection | None) -> ExitReport:
    """
    Report on a start that this package itself gives up.

    Its error says more than any rule: what happened and what to do are its own. The
    table adds the cause, by the error's code or else by its words, and the changes.

    Args:
        error: Why it is given up.
        selected: What was to be served: only what it has can be changed; None: it is
            not known, so nothing can.
    """
    diagnosis = Diagnosis(load_causes())
    diagnosis.feed(read_line(f"error: {error.message}; {error.hint}"))
    named = diagnosis.of_error(error.code) or diagnosis.finish(error.exit_code)
    report = ExitReport(
        summary=f"The engine could not be started: {error.message}.",
        hint=as_sentence(error.hint),
        is_final=is_final_exit(error.exit_code),
        log_tail=(),
    )
    changes: tuple[SettingChange, ...] = ()
    if selected is not None:
        general = () if named is None else named.changes
        proposed = _proposed(error, selected) or general
        changes = useful_changes(*selected, proposed, load_options())
    hint = " ".join(filter(None, (report.hint, _offer(changes))))
    report = replace(report, hint=hint, changes=changes)
    if named is None:
        return report
    return replace(
        report,
        cause=named.id,
        explanation=named.explanation,
        evidence=named.evidence,
    )


def _proposed(error: ServiceError, selected: Selection) -> tuple[SettingChange, ...]:
    """Return the changes that follow from what an error itself knows."""
    if isinstance(error, ModelDoesNotFit):
        return tuple(SettingChange(name, value) for name, value in error.options)
    if isinstance(error, RevisionNotFound):
        wrong = options_with_value(selected[0], REVISION_OPTIONS, error.revision)
        return tuple(SettingChange(name, is_removed=True) for name in wrong)
    return ()


def is_final_exit(exit_code: int) -> bool:
    """Whether an exit status says that another start would only fail again."""
    return exit_code in FINAL_EXIT_CODES


def find_cause(lines: Iterable[str]) -> str | None:
    """Return the first line that names a specific error, without its prefix."""
    return _read(lines).cause


class _Reading:
    """
    What is kept of a log while it passes by: little, however long it is.

    Attributes:
        diagnosis: The named causes.
        is_stopped: Whether the engine was told to end.
    """

    def __init__(self) -> None:
        self.diagnosis = Diagnosis(load_causes())
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._specific: str | None = None
        self._generic: str | None = None
        self._holders: list[str] = []
        self.is_stopped = False

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
        self.is_stopped |= line.text.startswith(_STOP_MARKS)
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


def _offer(changes: tuple[SettingChange, ...]) -> str:
    if not changes:
        return ""
    return f'The "Apply Fix" action can do it: {describe_changes(changes)}.'


def _status(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else "a signal"


def _hint(exit_code: int) -> str:
    if exit_code < 0:
        return "The machine may be out of memory; if so, choose a smaller model."
    if exit_code in _SELECTION_EXIT_CODES:
        return 'Correct the model or its arguments with the "Set Model" action.'
    return _SEE_LOGS

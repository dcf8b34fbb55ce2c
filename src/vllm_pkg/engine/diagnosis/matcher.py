"""
Finding the cause of a failure in a log, line by line, in bounded memory. Pure.

The first line that names a specific cause wins; the last ones are always generic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Final, NamedTuple

from vllm_pkg.engine.diagnosis.changes import plan_changes
from vllm_pkg.engine.diagnosis.lines import LogLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.engine.diagnosis.rules import CauseTable, Match, Rule
    from vllm_pkg.state.records import SettingChange

READY_MARK: Final = "Application startup complete."
EVIDENCE_CHARACTERS_MAX: Final = 300
VALUE_CHARACTERS_MAX: Final = 200
_FIELD_PROBLEM: Final = "  Input should be "
_FIELD: Final = re.compile(r"[\w.,\[\]]{1,100}")


@dataclass(frozen=True)
class Cause:
    """
    Why an engine failed.

    Args:
        id: Id of the rule.
        title: A few words.
        explanation: What it means, in whole sentences.
        fix: What to do, in whole sentences.
        changes: The settings that would help, all together; often none.
        is_final: Whether another start would only fail again.
        evidence: The line that told it; None when the exit status alone did.
    """

    id: str
    title: str
    explanation: str
    fix: str
    changes: tuple[SettingChange, ...]
    is_final: bool
    evidence: str | None


@dataclass(frozen=True)
class _Found:
    """A rule that matched a line, with the values that the line gave."""

    evidence: str
    values: Mapping[str, str]
    position: int


class _Probe(NamedTuple):
    """A text to look for first: looking for it is cheap, and it is seldom there."""

    text: str
    id: str
    match: Match


class Diagnosis:
    """
    Reads the log of one start, line by line.

    Args:
        table: The causes.

    Attributes:
        is_serving: Whether the engine has come so far as to serve.
    """

    def __init__(self, table: CauseTable) -> None:
        self._table = table
        self._compiled = {
            match: re.compile(match.pattern)
            for rule in table.causes.values()
            for match in rule.match
            if match.pattern is not None
        }
        self._begin()

    def _begin(self, *, is_serving: bool = False) -> None:
        self._found: dict[str, _Found] = {}
        self._position = 0
        self._previous = ""
        self.is_serving = is_serving
        self._is_decided = False
        self._probes = {where: self._probes_for(where) for where in ("error", "any")}

    def _probes_for(self, where: str) -> list[_Probe]:
        """Return what to look for in lines that tell an error, or in all others."""
        return [
            _Probe(match.contains[0], id_, match)
            for id_, rule in self._table.causes.items()
            if where in {rule.where, "error"}
            and (rule.during == "any" or not self.is_serving)
            for match in rule.match
        ]

    def feed(self, line: LogLine) -> None:
        """Take the next line."""
        if READY_MARK in line.text:
            # Whatever was told before did not keep the engine from starting.
            self._begin(is_serving=True)
            return
        if self._is_decided:
            return
        line = self._with_field(line)
        self._position += 1
        for probe in self._probes["error" if line.is_error else "any"]:
            if probe.text in line.text:
                self._try(probe, line.text)

    def _with_field(self, line: LogLine) -> LogLine:
        """Return a line of pydantic's with the name of the field before it."""
        previous, self._previous = self._previous, line.text
        if not line.text.startswith(_FIELD_PROBLEM) or not _FIELD.fullmatch(previous):
            return line
        return LogLine(f"{previous}{line.text}", is_error=line.is_error)

    def finish(self, exit_code: int | None) -> Cause | None:
        """
        Return the cause, or None when neither log nor exit status tells it.

        Args:
            exit_code: Exit status; negative for a signal, None when nobody knows it.
                After 0 there is no cause: an engine that is stopped logs errors of its
                parts as well.
        """
        if exit_code == 0:
            return None
        candidates = [
            (rule.is_general, found.position, id_)
            for id_, rule in self._table.causes.items()
            if (found := self._found.get(id_)) is not None
            and (not rule.exit_codes or exit_code in rule.exit_codes)
        ]
        if candidates:
            # min() keeps the order of the table between rules that match one line.
            _, _, id_ = min(candidates, key=lambda item: item[:2])
            return self._cause(id_, self._found[id_])
        for id_, rule in self._table.causes.items():
            if not rule.match and exit_code in rule.exit_codes:
                return self._cause(id_, None)
        return None

    def of_error(self, code: str) -> Cause | None:
        """
        Return the cause that an error of this package stands for, or None.

        Args:
            code: The error's code.
        """
        for id_, rule in self._table.causes.items():
            if code in rule.codes:
                return self._cause(id_, None)
        return None

    def _try(self, probe: _Probe, text: str) -> None:
        if probe.id in self._found:
            return
        if not all(part in text for part in probe.match.contains):
            return
        values = self._values(probe.match, text)
        if values is None:
            return
        evidence = text.strip()[:EVIDENCE_CHARACTERS_MAX]
        self._found[probe.id] = _Found(evidence, values, self._position)
        rule = self._table.causes[probe.id]
        # Nothing after the first specific cause counts.
        self._is_decided |= not rule.is_general and not rule.exit_codes

    def _values(self, match: Match, text: str) -> Mapping[str, str] | None:
        if match.pattern is None:
            return {}
        found = self._compiled[match].search(text)
        if found is None:
            return None
        groups = found.groupdict()
        if None in groups.values():
            return None
        return {name: item[:VALUE_CHARACTERS_MAX] for name, item in groups.items()}

    def _cause(self, id_: str, found: _Found | None) -> Cause:
        rule = self._table.causes[id_]
        values = found.values if found else {}
        return Cause(
            id=id_,
            title=rule.title,
            explanation=rule.explanation.format_map(values),
            fix=rule.fix.format_map(values),
            changes=plan_changes(rule.changes, values),
            is_final=_is_final(rule, values) and not self.is_serving,
            evidence=found.evidence if found else None,
        )


def _is_final(rule: Rule, values: Mapping[str, str]) -> bool:
    if rule.is_final or rule.final_if_more is None:
        return rule.is_final
    try:
        asked, there_is = (Decimal(values[name]) for name in rule.final_if_more)
    except DecimalException:
        return False
    return asked > there_is

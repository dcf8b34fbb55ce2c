"""Which of several lines is the cause."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.diagnosis.lines import read_line
from vllm_pkg.engine.diagnosis.matcher import READY_MARK, Diagnosis
from vllm_pkg.engine.diagnosis.rules import parse_causes
from vllm_pkg.state.records import SettingChange

TABLE = parse_causes(
    """
causes:
  first:
    title: First
    explanation: It is {what}.
    fix: Mend {what}.
    isFinal: true
    match:
      - contains: [one, thing]
        pattern: "one (?P<what>\\\\w+)(?: (?P<more>x))?"
      - contains: [another, thing]
        pattern: "another (?P<what>\\\\w+)"
    changes:
      - set: --x
        value: "{what}"
  second:
    title: Second
    explanation: It is the second.
    fix: Mend it.
    match:
      - contains: second
  vague:
    title: Vague
    explanation: It is vague.
    fix: Look on.
    isGeneral: true
    during: any
    match:
      - contains: vague
  anywhere:
    title: Anywhere
    explanation: It stands anywhere.
    fix: Look there.
    where: any
    match:
      - contains: anywhere
  ours:
    title: Ours
    explanation: It is ours.
    fix: Mend it.
    exitCodes: [78]
    match:
      - contains: ours
  silent:
    title: Silent
    explanation: It said nothing.
    fix: Look elsewhere.
    exitCodes: [-9, 137]
"""
)


def _find(exit_code, *lines):
    diagnosis = Diagnosis(TABLE)
    for line in lines:
        diagnosis.feed(read_line(line))
    return diagnosis.finish(exit_code)


@pytest.mark.parametrize(
    ("exit_code", "lines", "cause"),
    [
        (1, (), None),
        (1, ("AError: nothing known",), None),
        (0, ("AError: second",), None),
        (1, ("AError: second", "AError: another thing"), "second"),
        (1, ("AError: another thing", "AError: second"), "first"),
        (1, ("AError: second another thing",), "first"),
        (1, ("AError: vague", "AError: second"), "second"),
        (1, ("AError: vague",), "vague"),
        (1, ("AError: vague second",), "second"),
        (1, ("second",), None),
        (1, ("    AError: second",), None),
        (1, ("it stands anywhere",), "anywhere"),
        (1, ("AError: it stands anywhere",), "anywhere"),
        (1, ("AError: ours",), None),
        (78, ("AError: ours",), "ours"),
        (78, ("AError: ours", "AError: second"), "ours"),
        (78, ("AError: second", "AError: ours"), "second"),
        (-9, (), "silent"),
        (137, ("AError: vague",), "vague"),
        (1, ("AError: one thing",), None),
        (1, ("AError: one thing x",), "first"),
        (1, ("AError: one .thing",), None),
        (1, ("AError: second", READY_MARK), None),
        (1, (READY_MARK, "AError: second"), None),
        (1, (READY_MARK, "AError: vague"), "vague"),
    ],
)
def test_the_first_specific_cause_wins(exit_code, lines, cause):
    """First by line, then by the table; general ones last, exit statuses after that."""
    found = _find(exit_code, *lines)

    assert (found.id if found else None) == cause


def test_what_a_cause_tells():
    """Its texts with the values of the line, the change, and the line itself."""
    found = _find(1, "AError: another thing  " + "y" * 999)

    assert found is not None
    assert (found.title, found.explanation) == ("First", "It is thing.")
    assert found.fix == "Mend thing."
    assert found.changes == (SettingChange("--x", "thing"),)
    assert found.is_final
    assert found.evidence == ("AError: another thing  " + "y" * 999)[:300]
    silent = _find(137)
    assert silent is not None
    assert silent.evidence is None


def test_nothing_is_final_once_it_served():
    """A configuration that worked may work again."""
    text = "causes: {a: {title: t, explanation: e., fix: f., isFinal: true,"
    table = parse_causes(text + "during: any, match: [{contains: x}]}}")
    diagnosis = Diagnosis(table)
    for line in (READY_MARK, "AError: x"):
        diagnosis.feed(read_line(line))

    found = diagnosis.finish(1)

    assert found is not None
    assert not found.is_final


def test_values_are_cut():
    """A text for people does not repeat a whole line."""
    found = _find(1, "AError: another " + "z" * 3000 + " thing")

    assert found is not None
    assert found.fix == f"Mend {'z' * 200}."


@pytest.mark.parametrize(
    ("before", "name"),
    [("a_field", "a_field"), ("a.b[c],d", "a.b[c],d"), ("two words", None)],
)
def test_a_problem_of_pydantic_gets_its_field(before, name):
    """The field stands in the line before what is wrong with it."""
    text = "causes: {a: {title: t, explanation: '{name}.', fix: f., match: "
    pattern = "'^(?P<name>\\S+)  Input'"
    table = parse_causes(text + f"[{{contains: Input, pattern: {pattern}}}]}}}}")
    diagnosis = Diagnosis(table)
    for line in (before, "  Input should be less than 1 [type=less_than]"):
        diagnosis.feed(read_line(line))
    found = diagnosis.finish(1)

    assert (found.explanation if found else None) == (f"{name}." if name else None)

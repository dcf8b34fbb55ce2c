"""When a cause is final by its numbers: what the machine does not have at all."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.diagnosis.lines import read_line
from vllm_pkg.engine.diagnosis.matcher import READY_MARK, Diagnosis
from vllm_pkg.engine.diagnosis.rules import load_causes, parse_causes
from vllm_pkg.errors import PackageDataInvalid

RULE = """
causes:
  one:
    title: One
    explanation: It is one.
    fix: Mend it.
    finalIfMore: [wanted, {name}]
    match:
      - contains: wanted
        pattern: (?P<wanted>\\S+) wanted of (?P<total>\\S+)
"""
# As vLLM 0.32 writes it.
TOO_LARGE = (
    "ValueError: Available memory on node 0 (11.58/13.09 GiB) on kv cache allocation is"
    " less than requested memory for kv ({wanted} GiB)."
)


def _find(table, *lines):
    diagnosis = Diagnosis(table)
    for line in lines:
        diagnosis.feed(read_line(line))
    cause = diagnosis.finish(1)
    assert cause is not None
    return cause


@pytest.mark.parametrize(
    ("wanted", "is_final"),
    [("12.0", False), ("13.09", False), ("13.1", True), ("100000.0", True)],
)
def test_a_cache_beyond_the_machines_memory_is_final(wanted, is_final):
    """Other programs may give memory back, but never more than there is."""
    cause = _find(load_causes(), TOO_LARGE.format(wanted=wanted))

    assert cause.id == "cpu-cache-too-large"
    assert cause.is_final is is_final


def test_after_it_served_nothing_is_final_by_its_numbers():
    """What worked once may work again."""
    table = parse_causes(
        RULE.format(name="total").replace("fix:", "during: any\n    fix:")
    )

    assert _find(table, "ValueError: 9 wanted of 5").is_final
    assert not _find(table, READY_MARK, "ValueError: 9 wanted of 5").is_final


def test_what_is_no_number_decides_nothing():
    """A value that cannot be compared makes nothing final."""
    table = parse_causes(RULE.format(name="total"))

    assert not _find(table, "ValueError: much wanted of 5").is_final


def test_the_values_must_be_found_by_the_pattern():
    """A name that no group has is told when the table is read."""
    with pytest.raises(PackageDataInvalid, match="called other"):
        parse_causes(RULE.format(name="other"))

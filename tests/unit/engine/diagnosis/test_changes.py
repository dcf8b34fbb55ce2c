"""Computing changes from what a log said, and applying them."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.acceptor import Accepted, examine_arguments
from vllm_pkg.engine.diagnosis.changes import (
    apply_changes,
    describe_changes,
    fingerprint,
    plan_changes,
    useful_changes,
)
from vllm_pkg.engine.diagnosis.rules import ChangeRule
from vllm_pkg.engine.options import load_options
from vllm_pkg.state.records import SettingChange
from vllm_pkg.state.store import EnvironmentVariable

LENGTH = "--max-model-len"


def _rule(**fields):
    return ChangeRule.model_validate({"set": LENGTH} | fields)


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        ({"value": "auto"}, {}, "auto"),
        ({"value": "{n}"}, {"n": "24832"}, "24832"),
        ({"value": "{n}", "roundDownTo": "256"}, {"n": "24832"}, "24832"),
        ({"value": "{n}", "roundDownTo": "256"}, {"n": "24831"}, "24576"),
        ({"value": "{n}", "roundDownTo": "256", "least": "256"}, {"n": "255"}, None),
        ({"value": "{n}", "roundDownTo": "1", "most": "9"}, {"n": "10"}, None),
        ({"value": "{n}", "roundDownTo": "1", "most": "9"}, {"n": "9"}, "9"),
        ({"value": "{n}", "roundDownTo": "1"}, {"n": "many"}, None),
        ({"quotient": ["a", "b"], "roundDownTo": "0.01"}, {"a": "2", "b": "3"}, "0.66"),
        (
            {"quotient": ["a", "b"], "share": "0.97", "roundDownTo": "0.01"},
            {"a": "12.0", "b": "24.0"},
            "0.48",
        ),
        ({"quotient": ["a", "2"], "roundDownTo": "1"}, {"a": "257"}, "128"),
        ({"quotient": ["a", "b"]}, {"a": "1", "b": "0"}, None),
        ({"quotient": ["a", "b"], "least": "0.2"}, {"a": "1", "b": "10"}, None),
        ({"value": "{n}", "roundUpToOneOf": [8, 16, 64]}, {"n": "17"}, "64"),
        ({"value": "{n}", "roundUpToOneOf": [8, 16]}, {"n": "16"}, "16"),
        ({"value": "{n}", "roundUpToOneOf": [8, 16]}, {"n": "17"}, None),
        ({"value": "{n}", "evenPartsOf": "h"}, {"n": "3", "h": "4"}, "2"),
        ({"value": "{n}", "evenPartsOf": "h"}, {"n": "8", "h": "12"}, "4"),
        ({"value": "{n}", "evenPartsOf": "h"}, {"n": "8", "h": "14"}, "2"),
        ({"value": "{n}", "evenPartsOf": "h"}, {"n": "2", "h": "25"}, "1"),
        ({"value": "{n}", "evenPartsOf": "h"}, {"n": "8", "h": "many"}, None),
    ],
)
def test_values_are_computed(fields, values, expected):
    """Exactly as decimal numbers; none when the change would not help."""
    changes = plan_changes((_rule(**fields),), values)

    wanted = () if expected is None else (SettingChange(LENGTH, expected),)
    assert changes == wanted


def test_all_changes_or_none():
    """Half of what is needed would not help."""
    good = _rule(value="auto")
    bad = _rule(value="{n}", roundDownTo="1")
    removal = ChangeRule(remove="--revision")
    flag = ChangeRule(set="--enforce-eager")

    assert plan_changes((good, bad), {"n": "x"}) == ()
    assert plan_changes((), {}) == ()
    planned = plan_changes((removal, flag, good), {})
    assert describe_changes(planned) == (
        "remove --revision and add --enforce-eager and set --max-model-len to auto"
    )


@pytest.mark.parametrize(
    ("arguments", "change", "expected"),
    [
        (["m"], (LENGTH, "5"), ["m", LENGTH, "5"]),
        (
            ["m", LENGTH, "9", "-q", "awq"],
            (LENGTH, "5"),
            ["m", "-q", "awq", LENGTH, "5"],
        ),
        (["m", f"{LENGTH}=-1"], (LENGTH, "5"), ["m", LENGTH, "5"]),
        (["m", "-q", "awq"], ("--quantization", None), ["m"]),
        (["m", "--quantization", "a", "-q=b"], ("-q", None), ["m"]),
        (
            ["m", "--device-memory-utilization", "0.9"],
            ("--gpu-memory-utilization", "0.5"),
            ["m", "--gpu-memory-utilization", "0.5"],
        ),
        (
            ["m", "--no-enforce-eager", "--revision", "r"],
            ("--enforce-eager", ""),
            ["m", "--revision", "r", "--enforce-eager"],
        ),
        (
            ["m", "--lora-modules", "a=/a", "b=/b", "--enable-lora"],
            ("--lora-modules", None),
            ["m", "--enable-lora"],
        ),
        (
            ["m", "--hf-overrides.max_model_len=3"],
            (LENGTH, "5"),
            ["m", "--hf-overrides.max_model_len=3", LENGTH, "5"],
        ),
        (["m", "--enable-lora"], ("--revision", None), ["m", "--enable-lora"]),
        (
            [
                *("m", "-sc.method", "ngram", "--speculative-config.a=1"),
                *("--speculative-config", "{}", "--enable-lora"),
            ],
            ("--speculative-config", None),
            ["m", "--enable-lora"],
        ),
    ],
)
def test_options_are_replaced_in_all_spellings(arguments, change, expected):
    """The old values go, whatever their number; everything else stays."""
    name, value = change
    asked = SettingChange(name, value or None, is_removed=value is None)

    new, environment = apply_changes(tuple(arguments), (), (asked,), load_options())

    assert new == tuple(expected)
    assert environment == ()
    assert isinstance(examine_arguments(new, load_options()), Accepted)


def test_variables_are_replaced():
    """A variable is set once, or taken away; the others stay."""
    old = (EnvironmentVariable("A", "1"), EnvironmentVariable("B", "2"))
    changes = (SettingChange("A", "3"), SettingChange("B", is_removed=True))

    arguments, environment = apply_changes(("m",), old, changes, load_options())

    assert arguments == ("m",)
    assert environment == (EnvironmentVariable("A", "3"),)


def test_only_what_changes_something_is_useful():
    """What is not there cannot be taken away; what is set anew can be set."""
    environment = (EnvironmentVariable("A", "1"),)
    there = (
        SettingChange("--revision", is_removed=True),
        SettingChange("A", is_removed=True),
        SettingChange(LENGTH, "5"),
    )
    absent = (
        SettingChange("--quantization", is_removed=True),
        SettingChange("B", is_removed=True),
    )

    useful = useful_changes(
        ("m", "--revision", "r"), environment, (*absent, *there), load_options()
    )

    assert useful == there


def test_fingerprints_tell_selections_apart():
    """Other arguments, or other variables, give another one; it tells no secret."""
    variable = EnvironmentVariable("HF_TOKEN", "secret")
    one = fingerprint(("m", "--x"), (variable,))

    assert one == fingerprint(["m", "--x"], [variable])
    assert one != fingerprint(("m", "--x"), ())
    assert one != fingerprint(("m",), (variable,))
    assert "secret" not in one

"""What stands around a field: label, help, options and reasons."""

from __future__ import annotations

import pytest

from vllm_pkg.actions import forms
from vllm_pkg.portal.forms.hints import (
    Option,
    help_of,
    label_of,
    options_of,
    reason_of,
)
from vllm_pkg.portal.forms.model import Leaf, Union, build_form, find
from vllm_pkg.portal.texts.catalogue import load_texts

TEXTS = load_texts("en")
COLOURS = {"red": "Red", "blue": "Blue - sold out"}
UNION = forms.union(
    "U", {key: forms.variant(name, {}) for key, name in COLOURS.items()}, default="red"
)


def node_of(field, value=None):
    """Return a field that stands alone in a form."""
    saved = None if value is None else {"f": value}
    return find(build_form({"f": field}, saved), ("f",))


def options(field, value=None):
    """Return the options of a field as short texts: + chosen, - off."""
    node = node_of(field, value)
    assert isinstance(node, (Leaf, Union))
    return [
        f"{option.key}{'+' * option.is_chosen}{'-' * option.is_off}"
        for option in options_of(node)
    ]


def test_options_that_cannot_be_chosen_stay():
    """They stand in their place with their reason, which is part of the label."""
    node = node_of(forms.select("S", COLOURS, default="red", disabled=["blue"]))
    assert isinstance(node, Leaf)

    assert options_of(node) == [
        Option("red", "Red", is_off=False, is_chosen=True),
        Option("blue", "Blue - sold out", is_off=True, is_chosen=False),
    ]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (forms.select("S", COLOURS, default=None), None, ["red", "blue"]),
        (forms.select("S", COLOURS, default="red"), "gone", ["red", "blue"]),
        (
            forms.select("S", COLOURS, default="red", disabled="Not now."),
            None,
            ["red+-", "blue-"],
        ),
        (UNION | {"disabled": ["blue"]}, None, ["red+", "blue-"]),
        (UNION | {"disabled": "Not now."}, None, ["red+-", "blue-"]),
        (
            forms.multiselect("M", COLOURS, disabled=["red", "blue"]),
            ["blue", "gone"],
            ["red-", "blue+", "gone+"],
        ),
        (
            forms.multiselect("M", COLOURS, disabled="Not now.", default=["red"]),
            None,
            ["red+-", "blue-"],
        ),
    ],
)
def test_options_of_each_choice(field, value, expected):
    """What was chosen of several can be taken out, also when it is not offered."""
    assert options(field, value) == expected


def test_labels_say_what_may_be_left_empty():
    """An entry of a list is called by its list and its number, others by their name."""
    spec = {
        "a": forms.text("A", required=True),
        "b": forms.text("B", required=False),
        "c": forms.toggle("C", default=False),
        "d": forms.list_of("D", forms.text_items(), default=["x", "y"]),
    }
    form = build_form(spec)

    labels = [label_of(node, TEXTS) for node in form.walk()]

    assert labels == ["", "A", "B (optional)", "C", "D", "D, entry 1", "D, entry 2"]


def test_what_is_off_says_why():
    """The reason of the action comes first, then that it was saved before."""
    locked = forms.text("T", required=True, immutable=True)

    assert reason_of(node_of(locked), TEXTS) is None
    assert reason_of(node_of(locked, "s"), TEXTS) == "This cannot be changed any more."
    off = locked | {"disabled": "Not now."}
    assert reason_of(node_of(off, "s"), TEXTS) == "Not now."


def number(**limits):
    """Return a number with limits."""
    return forms.number("N", required=True, integer=False, **limits)


def counted(**limits):
    """Return a choice of several with limits."""
    return forms.multiselect("M", COLOURS, **limits)


@pytest.mark.parametrize(
    ("field", "lines"),
    [
        (forms.text("T", required=True), []),
        (forms.text("T", required=True, description="For you."), ["For you."]),
        (
            forms.text("T", required=True, description="D.", immutable=True),
            ["D.", "This cannot be changed after it is saved."],
        ),
        (number(), []),
        (number(step=1), []),
        (number(min=0, max=3650), ["From 0 to 3,650."]),
        (number(min=0.5), ["At least 0.5."]),
        (number(max=0, step=0.05), ["At most 0.", "In steps of 0.05."]),
        (
            forms.datetime("D", required=True, inputmode="date", min="2026-01-31"),
            ["Jan 31, 2026 or later."],
        ),
        (
            forms.datetime("D", required=True, inputmode="time", max="17:45"),
            ["5:45\N{NARROW NO-BREAK SPACE}PM or earlier."],
        ),
        (
            forms.datetime("D", required=True, min="2026-01-31T17:45"),
            ["Jan 31, 2026, 5:45:00\N{NARROW NO-BREAK SPACE}PM or later."],
        ),
        (counted(), []),
        (counted(minLength=0), []),
        (counted(minLength=1), ["At least 1 of them."]),
        (counted(maxLength=0), ["At most 0 of them."]),
        (counted(minLength=1, maxLength=2), ["From 1 to 2 of them."]),
        (forms.file("F", required=True, extensions=[]), ["At most 8 MiB."]),
        (
            forms.file("F", required=True, extensions=[".pem", ".crt"]),
            ["At most 8 MiB; the name ends in .pem, .crt."],
        ),
    ],
)
def test_help_says_what_a_field_takes(field, lines):
    """What the field is for comes first, then its limits, in words."""
    assert help_of(node_of(field), TEXTS) == lines


def test_what_is_locked_does_not_say_that_it_will_be():
    """A saved field says why it is off instead."""
    locked = forms.text("T", required=True, immutable=True)

    assert help_of(node_of(locked, "s"), TEXTS) == []


def test_limits_are_written_as_the_language_does():
    """A decimal comma in German, and the German sentence."""
    lines = help_of(node_of(number(min=0.5, max=1500)), load_texts("de"))

    assert lines == ["Von 0,5 bis 1.500."]

"""What is wrong stands at the place that caused it."""

from __future__ import annotations

import pytest

from vllm_pkg.actions import forms
from vllm_pkg.errors import FieldProblem
from vllm_pkg.portal.forms.model import build_form, find
from vllm_pkg.portal.forms.problems import (
    check_form,
    place_problems,
    summary,
)
from vllm_pkg.portal.texts.catalogue import load_texts

TEXTS = load_texts("en")
SPEC: forms.InputSpec = {
    "text": forms.text("Text", required=True, maxLength=3),
    "select": forms.select("Select", {"a": "A", "b": "B"}, default=None),
    "words": forms.list_of("Words", forms.text_items(), minLength=1),
    "pairs": forms.list_of(
        "Pairs",
        forms.object_items(
            {"name": forms.text("Name", required=True)}, unique_by="name"
        ),
    ),
    "union": forms.union(
        "Union",
        {"a": forms.variant("A", {"x": forms.text("X", required=True)})},
        default=None,
    ),
}
RIGHT = {
    "text": "abc",
    "select": "a",
    "words": ["w"],
    "pairs": [],
    "union": {"selection": "a", "value": {"x": "x"}},
}


def placed(change):
    """Return path and text of each problem of a value."""
    form = build_form(SPEC, RIGHT | change)
    found = place_problems(form, check_form(form), TEXTS)
    return [(".".join(item.node.path), item.text) for item in found]


def test_nothing_is_wrong_with_what_is_right():
    """A right form has no problems."""
    assert placed({}) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"text": ""}, ("text", "This is needed. Fill it in.")),
        ({"text": None}, ("text", "This is needed. Fill it in.")),
        ({"text": "abcd"}, ("text", "Expected at most 3 characters, got 4.")),
        ({"select": None}, ("select", "This is needed. Choose one.")),
        ({"words": []}, ("words", "Expected at least 1 item, got 0.")),
        ({"words": ["a", ""]}, ("words.1", "This is needed. Fill it in.")),
        ({"words": ["a", "b", "a"]}, ("words.2", "This is the same as entry 1.")),
        (
            {"pairs": [{"name": "n"}, {"name": "n"}]},
            ("pairs.1", "This is the same as entry 1."),
        ),
        ({"pairs": [{"name": ""}]}, ("pairs.0.name", "This is needed. Fill it in.")),
        (
            {"union": {"selection": None, "value": {}}},
            ("union", "This is needed. Choose one."),
        ),
        (
            {"union": {"selection": "a", "value": {"x": ""}}},
            ("union.value.x", "This is needed. Fill it in."),
        ),
    ],
)
def test_problems_stand_at_their_fields(change, problem):
    """Paths lead to fields, nested ones and entries of lists included."""
    assert placed(change) == [problem]


def test_problems_come_in_the_order_of_the_form():
    """The first one is the first that a reader comes to."""
    found = placed({"words": [], "text": "", "pairs": [{"name": ""}]})

    assert [path for path, _ in found] == ["text", "words", "pairs.0.name"]


def test_what_an_action_found_is_placed_too():
    """A path that leads nowhere stands at the last place on its way."""
    form = build_form(SPEC, RIGHT)
    problems = [
        FieldProblem(("union", "value", "x"), "no such model; choose another"),
        FieldProblem(("union", "value", "gone"), "is missing"),
        FieldProblem(("union", "value", "gone"), "is missing"),
        FieldProblem((), "nothing works"),
        FieldProblem((), "at all"),
    ]

    found = place_problems(form, problems, TEXTS)

    assert [(item.node.path, item.text) for item in found] == [
        ((), "Nothing works. At all."),
        (("union", "value"), "Is missing."),
        (("union", "value", "x"), "No such model; choose another."),
    ]


def test_the_first_wrong_place_is_announced():
    """The announcement names the first place by a name that people know."""
    form = build_form(SPEC, RIGHT)
    text, word = find(form, ("text",)), find(form, ("words", "0"))

    assert summary([text], TEXTS) == "One field is not right yet: Text."
    assert summary([word, text], TEXTS) == (
        "2 fields are not right yet; the first is Words."
    )
    assert summary([form], TEXTS) == "Something is not right yet."


def test_what_only_the_browser_knows_of_is_told_instead_of_the_check():
    """Half a date reads as nothing, and nothing is not what is wrong with it."""
    form = build_form(SPEC, RIGHT | {"text": ""})
    text, select = find(form, ("text",)), find(form, ("select",))

    found = place_problems(form, check_form(form), TEXTS, [select, text])

    half = "This is not complete. Fill in every part, or clear it."
    assert [(item.node, item.text) for item in found] == [(text, half), (select, half)]

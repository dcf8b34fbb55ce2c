"""Checking inputs: every type of field with good and bad values."""

from __future__ import annotations

import pytest

from vllm_pkg.actions import forms
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.errors import FieldProblem, InvalidArgument, PackageDataInvalid

WORD = forms.Pattern(regex="^[a-z$]+$", description="small letters")
DOLLAR = forms.Pattern(regex=r"^\$\d$", description="a dollar and a digit")
TEXT = forms.text("T", required=True, minLength=2, maxLength=4, patterns=[WORD])
OPTIONAL_TEXT = forms.text("T", required=False, minLength=2)
AREA = forms.textarea("T", required=True, maxLength=20)
NUMBER = forms.number("T", required=True, integer=False, min=-1, max=10, step=0.1)
INTEGER = forms.number("T", required=False, integer=True)
SELECT = forms.select("T", {"a": "A", "b": "B"}, default="a", disabled=["b"])
MULTI = forms.multiselect(
    "T", {"a": "A", "b": "B", "c": "C"}, minLength=1, maxLength=2, disabled=["c"]
)
TEXTS = forms.list_of("T", forms.text_items(maxLength=3), minLength=1, maxLength=2)
PAIR: forms.InputSpec = {
    "name": forms.text("Name", required=True),
    "on": forms.tri_state("On", default=None),
}
UNION = forms.union(
    "T",
    {
        "none": forms.variant("None", {}),
        "some": forms.variant("Some", {"pair": forms.object_of("Pair", PAIR)}),
        "big": forms.variant("Big - needs 9 GiB", {}),
    },
    default="none",
    disabled=["big"],
)
DATE = forms.datetime("T", required=True, inputmode="date", min="2026-01-10")
TIME = forms.datetime("T", required=True, inputmode="time", max="12:00")
BOTH = forms.datetime("T", required=False)
COLOR = forms.color("T", required=True)
FILE = forms.file("T", required=True, extensions=[".pem", ".CRT"])
UPLOAD = {"path": "a/b.crt", "commitment": {"hash": "h", "size": 3}}


def problem_of(field, value):
    """Return the message for a value of a field that stands alone in a form."""
    with pytest.raises(InvalidArgument) as caught:
        validate_input({"f": field}, {"f": value})
    (problem,) = caught.value.fields
    return ".".join(problem.path), problem.message


def pairs(unique_by):
    """Return a list of objects with a rule of what must differ."""
    return forms.list_of("T", forms.object_items(PAIR, unique_by=unique_by))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (TEXT, "ab$"),
        (forms.text("T", required=True, patterns=[DOLLAR]), "$1"),
        (OPTIONAL_TEXT, None),
        (OPTIONAL_TEXT, ""),
        (AREA, "two\nlines"),
        (forms.textarea("T", required=False), None),
        (NUMBER, 0.3),
        (NUMBER, -1),
        (INTEGER, None),
        (INTEGER, 7),
        (forms.toggle("T", default=None), False),
        (forms.tri_state("T", default=None), None),
        (forms.tri_state("T", default=None), True),
        (SELECT, "a"),
        (MULTI, ["a", "b"]),
        (TEXTS, ["abc", "d"]),
        (pairs(None), [{"name": "a", "on": None}, {"name": "a", "on": None}]),
        (pairs("name"), [{"name": "a", "on": None}, {"name": "b", "on": None}]),
        (
            pairs({"all": ["name", "on"]}),
            [{"name": "a", "on": None}, {"name": "a", "on": True}],
        ),
        (forms.object_of("T", PAIR), {"name": "a", "on": False}),
        (UNION, {"selection": "none", "value": {}}),
        (
            UNION,
            {"selection": "some", "value": {"pair": {"name": "a", "on": True}}},
        ),
        (DATE, "2026-01-10"),
        (TIME, "11:59:59"),
        (BOTH, None),
        (BOTH, "2026-01-31T17:45"),
        (BOTH, "2026-01-31T17:45:01"),
        (COLOR, "#00fFa9"),
        (forms.color("T", required=False), None),
        (FILE, UPLOAD),
        (forms.file("T", required=False, extensions=[]), None),
        (forms.file("T", required=True, extensions=[]), UPLOAD),
        (forms.hidden(), {"any": ["thing"]}),
        (forms.text("T", required=True, disabled="fixed", default="x"), "x"),
        (forms.text("T", required=True, disabled="fixed"), None),
        (
            forms.union("T", {"a": forms.variant("A", {})}, default="a", disabled="x"),
            {"selection": "a", "value": {}},
        ),
    ],
)
def test_good_values(field, value):
    """A value that its field takes comes back unchanged."""
    assert validate_input({"f": field}, {"f": value}) == {"f": value}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (TEXT, None, "expected text, got None"),
        (TEXT, 3, "expected text, got 3"),
        (TEXT, "", "must not be empty"),
        (TEXT, "a", "expected at least 2 characters, got 1"),
        (TEXT, "abcde", "expected at most 4 characters, got 5"),
        (TEXT, "AB", "expected small letters, got 'AB'"),
        (TEXT, "ab\n", "expected small letters, got 'ab\\n'"),
        (TEXT, "a\0b", "must not contain NUL or half of a surrogate pair"),
        (TEXT, "a\ud800b", "must not contain NUL or half of a surrogate pair"),
        (OPTIONAL_TEXT, "a", "expected at least 2 characters, got 1"),
        (AREA, "x" * 21, "expected at most 20 characters, got 21"),
        (NUMBER, None, "expected a number, got None"),
        (NUMBER, "1", "expected a number, got '1'"),
        (NUMBER, True, "expected a number, got True"),
        (NUMBER, float("inf"), "expected a finite number, got inf"),
        (NUMBER, float("nan"), "expected a finite number, got nan"),
        (NUMBER, -2, "expected at least -1, got -2"),
        (NUMBER, 11, "expected at most 10, got 11"),
        (NUMBER, 0.25, "expected a multiple of 0.1, got 0.25"),
        (INTEGER, 1.5, "expected a whole number, got 1.5"),
        (forms.toggle("T", default=True), None, "expected true or false, got None"),
        (forms.toggle("T", default=True), 1, "expected true or false, got 1"),
        (
            forms.tri_state("T", default=None),
            "true",
            "expected true, false or null, got 'true'",
        ),
        (SELECT, "b", "'b' cannot be chosen now"),
        (SELECT, "c", "expected one of a, b; got 'c'"),
        (SELECT, None, "expected one of a, b; got None"),
        (
            forms.select("T", {}, default=None),
            "a",
            "expected one of nothing, as there is nothing to choose; got 'a'",
        ),
        (MULTI, "a", "expected a list, got 'a'"),
        (MULTI, [], "expected at least 1 choice, got 0"),
        (MULTI, ["a", "b", "a"], "expected at most 2 choices, got 3"),
        (MULTI, ["a", "a"], "'a' is chosen twice"),
        (MULTI, ["c"], "'c' cannot be chosen now"),
        (MULTI, [["a"]], "expected one of a, b, c; got ['a']"),
        (TEXTS, {}, "expected a list, got {}"),
        (TEXTS, [], "expected at least 1 item, got 0"),
        (TEXTS, ["a", "b", "c"], "expected at most 2 items, got 3"),
        (forms.object_of("T", PAIR), [], "expected an object, got []"),
        (UNION, "none", "expected an object with selection and value, got 'none'"),
        (
            UNION,
            {"selection": "none"},
            "expected an object with selection and value, got {'selection': 'none'}",
        ),
        (DATE, "2026-1-31", "expected a date such as 2026-01-31, got '2026-1-31'"),
        (DATE, "2026-02-30", "expected a date such as 2026-01-31, got '2026-02-30'"),
        (DATE, None, "expected text, got None"),
        (DATE, "2026-01-09", "expected 2026-01-10 or later, got 2026-01-09"),
        (TIME, "24:00", "expected a time such as 17:45, got '24:00'"),
        (TIME, "12:01", "expected 12:00 or earlier, got 12:01"),
        (
            BOTH,
            "2026-01-31 17:45",
            "expected a date and time such as 2026-01-31T17:45, got '2026-01-31 17:45'",
        ),
        (COLOR, "red", "expected a colour such as #ff8800, got 'red'"),
        (COLOR, None, "expected a colour, got None"),
        (
            FILE,
            {**UPLOAD, "path": "a.txt"},
            "expected a file that ends in .pem or .crt",
        ),
        (
            forms.text("T", required=True, disabled="it is fixed", default="x"),
            "y",
            "cannot be changed now: it is fixed",
        ),
        (
            forms.union("T", {"a": forms.variant("A", {})}, default="a", disabled="x"),
            "a union",
            "cannot be changed now: x",
        ),
    ],
)
def test_bad_values(field, value, message):
    """A value that its field does not take is refused, saying what was expected."""
    assert problem_of(field, value) == ("f", message)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "a.pem",
        {"path": 1, "commitment": {}},
        {"path": "a.pem"},
        {"path": "a.pem", "commitment": {"hash": "h"}},
        {"path": "a.pem", "commitment": {"hash": "h", "size": True}},
        {"path": "a.pem", "commitment": {"hash": "h", "size": -1}},
        {"path": "a.pem", "commitment": {"hash": 1, "size": 1}},
    ],
)
def test_bad_files(value):
    """What is no uploaded file is refused."""
    path, message = problem_of(FILE, value)
    assert path == "f"
    assert message.startswith("expected an uploaded file: an object with path")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (TEXTS, ["a", "abcd"], ("f.1", "expected at most 3 characters, got 4")),
        (TEXTS, ["a", None], ("f.1", "expected text, got None")),
        (TEXTS, ["a", "a"], ("f.1", "is the same as entry 0")),
        (
            pairs("on"),
            [{"name": "a", "on": None}, {"name": "b", "on": None}],
            ("f.1", "is the same as entry 0"),
        ),
        (
            pairs({"any": ["name", "on"]}),
            [{"name": "a", "on": None}, {"name": "b", "on": None}],
            ("f.1", "is the same as entry 0"),
        ),
        (
            pairs({"all": ["name", "on"]}),
            [{"name": "b", "on": True}] * 2,
            ("f.1", "is the same as entry 0"),
        ),
        (pairs(None), [3], ("f.0", "expected an object, got 3")),
        (
            UNION,
            {"selection": "all", "value": {}},
            ("f.selection", "expected one of none, some, big; got 'all'"),
        ),
        (
            UNION,
            {"selection": "big", "value": {}},
            ("f.selection", "'big' cannot be chosen now: Big - needs 9 GiB"),
        ),
        (
            UNION,
            {"selection": ["none"], "value": {}},
            ("f.selection", "expected one of none, some, big; got ['none']"),
        ),
        (
            UNION,
            {"selection": "some", "value": {"pair": {"name": 1, "on": None}}},
            ("f.value.pair.name", "expected text, got 1"),
        ),
        (
            UNION,
            {"selection": "none", "value": {}, "extra": 1},
            ("f.extra", "unknown key; expected an object with selection and value"),
        ),
        (
            UNION,
            {"selection": "none", "value": {"pair": {}}},
            ("f.value.pair", "unknown key; expected no keys"),
        ),
        (
            forms.object_of("T", PAIR),
            {"name": "a", "on": None, "nam": 1},
            ("f.nam", "unknown key; did you mean name?"),
        ),
        (
            forms.object_of("T", PAIR),
            {"name": "a", "on": None, "\u202e\n": 1},
            ("f.'\\u202e\\n'", "unknown key; expected name, on"),
        ),
    ],
)
def test_bad_values_inside(field, value, problem):
    """A problem inside a list, object or union carries the whole path to it."""
    assert problem_of(field, value) == problem


def test_whole_numbers_become_integers():
    """A whole number written with a fraction of zero comes back as an integer."""
    checked = validate_input({"f": INTEGER}, {"f": 3.0})
    assert repr(checked) == "{'f': 3}"


def test_what_a_union_keeps_of_other_variants_is_left_out():
    """StartOS may send the values of other variants; they are accepted and dropped."""
    value = {"selection": "none", "value": {}, "other": {"some": {"pair": 1}}}
    checked = validate_input({"f": UNION}, {"f": value})
    assert checked == {"f": {"selection": "none", "value": {}}}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (TEXT, "text"),
        (OPTIONAL_TEXT, "text or null"),
        (AREA, "text"),
        (INTEGER, "a number or null"),
        (forms.toggle("T", default=None), "true or false"),
        (forms.tri_state("T", default=None), "true, false or null"),
        (SELECT, "one of its keys"),
        (MULTI, "a list of its keys"),
        (TEXTS, "a list"),
        (forms.object_of("T", {}), "an object"),
        (UNION, "an object with selection and value"),
        (BOTH, "a date or time or null"),
        (COLOR, "a colour"),
        (FILE, "an uploaded file"),
    ],
)
def test_a_missing_key_is_refused(field, expected):
    """Every key must be there, as StartOS wants it; the message says what goes in."""
    with pytest.raises(InvalidArgument) as caught:
        validate_input({"f": field}, {})
    message = f"is missing; expected {expected}"
    assert caught.value.fields == (FieldProblem(("f",), message),)


def test_a_hidden_key_may_be_missing():
    """Only a hidden field may be left out."""
    assert validate_input({"f": forms.hidden()}, {}) == {}


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_an_input_must_be_an_object(value):
    """An input that is no object is refused as a whole."""
    with pytest.raises(
        InvalidArgument, match="the input: expected an object"
    ) as caught:
        validate_input({}, value)
    assert caught.value.fields[0].path == ()


def test_all_problems_are_reported_at_once():
    """Every wrong field is named, in the JSON form too; the message shows the first."""
    spec = dict.fromkeys("abcdefg", TEXT)
    with pytest.raises(InvalidArgument) as caught:
        validate_input(spec, dict.fromkeys("abcdefg", ""))
    assert [field.path for field in caught.value.fields] == [(n,) for n in "abcdefg"]
    assert caught.value.message == (
        "a: must not be empty; b: must not be empty; c: must not be empty; "
        "d: must not be empty; e: must not be empty; and 2 more"
    )
    document = caught.value.as_json()["error"]
    assert document["code"] == "invalid-argument"
    assert document["fields"] == [
        {"path": [name], "message": "must not be empty"} for name in "abcdefg"
    ]


def test_long_values_are_shortened():
    """A message never repeats a long value in full."""
    assert problem_of(COLOR, "x" * 999)[1].endswith("x...")


def test_an_unknown_type_of_field_is_an_error_of_the_package():
    """A form with a type that does not exist is not blamed on the input."""
    with pytest.raises(PackageDataInvalid, match="no field is of type 'slider'"):
        validate_input({"f": {"type": "slider"}}, {"f": 1})

"""The form changes no verdict: what goes through it is right exactly when it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_pkg.actions import forms
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.errors import InvalidArgument
from vllm_pkg.portal.forms.model import build_form

KEYS = ("a", "b", "c")
VALUES = {key: key.upper() for key in KEYS}
REASON = "Not now."
WORD = forms.Pattern(regex="^[a-c]+$", description="a to c")
limits = st.none() | st.integers(0, 3)
maybe_off = st.just(False) | st.just(REASON)  # noqa: FBT003  # as the language has it
some_off = maybe_off | st.lists(st.sampled_from(KEYS), unique=True)
small_texts = st.text("abcx ", max_size=4)
anything = (
    st.none() | st.booleans() | st.integers(-3, 9) | small_texts | st.lists(small_texts)
)


def _texts():
    rules = {"minLength": limits, "maxLength": limits, "disabled": maybe_off}
    return st.builds(
        forms.text,
        st.just("T"),
        required=st.booleans(),
        default=st.none() | small_texts,
        patterns=st.just([]) | st.just([WORD]),
        **rules,
    )


def _numbers():
    return st.builds(
        forms.number,
        st.just("N"),
        required=st.booleans(),
        integer=st.booleans(),
        default=st.none() | st.integers(0, 9),
        min=st.none() | st.integers(-2, 2),
        max=st.none() | st.integers(3, 9),
        step=st.sampled_from([None, 1, 0.5]),
        disabled=maybe_off,
    )


def _switches():
    switch = st.sampled_from([forms.toggle, forms.tri_state])
    default = st.sampled_from([None, True, False])
    return st.builds(
        lambda make, value, off: make("S", default=value, disabled=off),
        switch,
        default,
        maybe_off,
    )


def _choices():
    keys = st.sampled_from(KEYS)
    one = st.builds(
        forms.select,
        st.just("C"),
        st.just(VALUES),
        default=st.none() | keys,
        disabled=some_off,
    )
    several = st.builds(
        forms.multiselect,
        st.just("C"),
        st.just(VALUES),
        default=st.lists(keys, unique=True),
        minLength=limits,
        maxLength=limits,
        disabled=some_off,
    )
    return one | several


def _instants():
    moment = st.sampled_from([None, "2026-01-31", "17:45", "2026-01-31T17:45"])
    mode = st.sampled_from(["date", "time", "datetime-local"])
    return st.builds(
        forms.datetime,
        st.just("D"),
        required=st.booleans(),
        inputmode=mode,
        default=moment,
        disabled=maybe_off,
    )


def _others():
    color = st.builds(forms.color, st.just("K"), required=st.booleans())
    file = st.builds(
        forms.file, st.just("F"), required=st.booleans(), extensions=st.just([".pem"])
    )
    return color | file | st.just(forms.hidden())


def _lists(spec):
    words = st.builds(forms.text_items, maxLength=limits, patterns=st.just([WORD]))
    unique = st.sampled_from([None, "a", {"any": ["a", "b"]}, {"all": ["a", "b"]}])
    both = st.fixed_dictionaries({"a": _texts(), "b": _switches()})
    pairs = st.builds(forms.object_items, both, unique_by=unique)
    objects = st.builds(forms.object_items, spec)
    return st.builds(
        forms.list_of,
        st.just("L"),
        words | pairs | objects,
        minLength=limits,
        maxLength=limits,
    )


def _unions(spec):
    variants = st.dictionaries(
        st.sampled_from(KEYS), st.builds(forms.variant, st.just("V"), spec), min_size=1
    )
    return st.builds(
        forms.union,
        st.just("U"),
        variants,
        default=st.none() | st.sampled_from(KEYS),
        disabled=some_off,
    )


def _deeper(spec):
    fields = (
        _lists(spec) | _unions(spec) | st.builds(forms.object_of, st.just("O"), spec)
    )
    return _specs(fields | _leaves())


def _leaves():
    single = _texts() | _numbers() | _switches() | _choices() | _instants()
    return single | _others()


def _specs(fields):
    return st.dictionaries(st.sampled_from(KEYS), fields, max_size=3)


SPECS = st.recursive(_specs(_leaves()), _deeper, max_leaves=4)
_LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "text": small_texts,
    "number": st.integers(-3, 10) | st.sampled_from([0.5, 1.0, 2.25]),
    "toggle": st.booleans(),
    "triState": st.none() | st.booleans(),
    "select": st.sampled_from(KEYS),
    "multiselect": st.lists(st.sampled_from(KEYS), unique=True),
    "datetime": st.sampled_from(["2026-01-31", "17:45", "2026-01-31T17:45"]),
    "color": st.just("#00ff00"),
    "file": st.just({"path": "a.pem", "commitment": {"hash": "h", "size": 1}}),
    "hidden": anything,
}


def value_for(field):
    """Return values of a field: of its shape, and mostly of its type."""
    match field["type"]:
        case "object":
            return values_for(field["spec"])
        case "list":
            items = field["spec"]
            is_object = items["type"] == "object"
            inner = values_for(items["spec"]) if is_object else small_texts | anything
            return st.lists(inner, max_size=3)
        case "union":
            return st.sampled_from((*field["variants"], "gone")).flatmap(
                lambda key: _variant_values(field, key)
            )
    own = st.just(field["default"]) if "default" in field else st.nothing()
    return _LIKELY[field["type"]] | own | anything


def values_for(spec):
    """Return values of a form, every key there."""
    return st.fixed_dictionaries({key: value_for(field) for key, field in spec.items()})


def _variant_values(field, key):
    variant = field["variants"].get(key, {"spec": {}})
    inner = values_for(variant["spec"])
    return st.builds(lambda value: {"selection": key, "value": value}, inner)


def checked(spec, value):
    """Return what the check makes of a value; None where it refuses it."""
    try:
        return validate_input(spec, value)
    except InvalidArgument:
        return None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_value_is_right_in_the_form_exactly_when_it_is_right(data):
    """For any spec and value: the same verdict, and the same value to use."""
    spec = data.draw(SPECS)
    value = data.draw(values_for(spec))

    collected = build_form(spec, value).collect()

    assert checked(spec, collected) == checked(spec, value)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_a_form_collects_opens_the_same_form(data):
    """Opening a form with what it gave gives that again."""
    spec = data.draw(SPECS)
    collected = build_form(spec, data.draw(values_for(spec))).collect()

    assert build_form(spec, collected).collect() == collected

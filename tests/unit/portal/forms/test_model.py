"""A form with what is typed in it, without a page."""

from __future__ import annotations

import re

import pytest

from vllm_pkg.actions import forms
from vllm_pkg.actions.validation import validate_input
from vllm_pkg.portal.forms.gallery_spec import GALLERY_SAVED, GALLERY_SPEC
from vllm_pkg.portal.forms.model import Entries, Group, Leaf, Union, build_form, find

PAIR: forms.InputSpec = {
    "name": forms.text("Name", required=True),
    "value": forms.text("Value", required=False, default="v"),
}
SPEC: forms.InputSpec = {
    "text": forms.text("Text", required=False),
    "object": forms.object_of("Object", PAIR),
    "pairs": forms.list_of("Pairs", forms.object_items(PAIR)),
    "words": forms.list_of("Words", forms.text_items(), default=["one"]),
    "union": forms.union(
        "Union",
        {
            "a": forms.variant("A", {"x": forms.text("X", required=False)}),
            "b": forms.variant(
                "B", {"y": forms.text("Y", required=False, default="y")}
            ),
        },
        default="a",
    ),
    "hidden": forms.hidden(),
}


def leaf(form, *path) -> Leaf:
    """Return a field with a value."""
    node = find(form, path)
    assert isinstance(node, Leaf)
    assert node.path == path
    return node


def union_of(form) -> Union:
    """Return the union."""
    node = find(form, ("union",))
    assert isinstance(node, Union)
    return node


def list_of(form, key) -> Entries:
    """Return a list."""
    node = find(form, (key,))
    assert isinstance(node, Entries)
    return node


def test_a_form_opens_with_its_defaults():
    """What nobody gave is what the spec says; a hidden field has no value then."""
    form = build_form(SPEC)

    assert form.collect() == {
        "text": None,
        "object": {"name": None, "value": "v"},
        "pairs": [],
        "words": ["one"],
        "union": {"selection": "a", "value": {"x": None}},
    }


def test_what_is_saved_is_shown_and_the_prefill_goes_above_it():
    """A partial prefill changes what it names, deep inside too, and nothing else."""
    saved = {
        "text": "t",
        "object": {"name": "n", "value": "w"},
        "words": ["a", "b"],
        "union": {"selection": "b", "value": {"y": "z"}, "other": {"a": {"x": "kept"}}},
        "hidden": {"id": 7},
    }
    prefill = {"object": {"name": "m"}, "pairs": [{"name": "p", "value": None}]}

    form = build_form(SPEC, saved, prefill)

    assert form.collect() == {
        "text": "t",
        "object": {"name": "m", "value": "w"},
        "pairs": [{"name": "p", "value": None}],
        "words": ["a", "b"],
        "union": {"selection": "b", "value": {"y": "z"}},
        "hidden": {"id": 7},
    }
    assert not form.is_changed
    union_of(form).choose("a")
    assert leaf(form, "union", "value", "x").value == "kept"


def test_what_has_another_shape_is_as_if_it_were_not_given():
    """A form opens whatever a prefill is like."""
    wrong = {
        "object": 5,
        "pairs": ["no object"],
        "words": "no list",
        "union": {"value": {}},
        "gone": 1,
    }

    form = build_form(SPEC, wrong)

    assert form.collect() == build_form(SPEC).collect() | {
        "pairs": [{"name": None, "value": "v"}]
    }


def test_typed_texts_are_null_only_where_they_may_be_left_empty():
    """StartOS wants null for a text that is not required, and text for one that is."""
    form = build_form(SPEC)
    optional, required = leaf(form, "text"), leaf(form, "object", "name")

    for field in (optional, required):
        field.type_text("typed")
        assert field.value == "typed"
        assert not field.is_empty
        field.type_text("")
        assert field.is_empty

    assert (optional.value, required.value) == (None, "")
    required.restore()
    assert required.value is None


def test_other_variants_keep_what_was_typed():
    """Choosing another variant and coming back loses nothing."""
    form = build_form(SPEC)
    leaf(form, "union", "value", "x").type_text("typed")

    union_of(form).choose("b")
    assert form.collect()["union"] == {"selection": "b", "value": {"y": "y"}}
    assert union_of(form).is_changed
    union_of(form).restore()

    assert form.collect()["union"] == {"selection": "a", "value": {"x": "typed"}}


def test_a_union_without_a_choice_has_no_fields():
    """Nothing chosen, or a variant that is gone, is collected as it is."""
    spec = {"union": SPEC["union"] | {"default": None}}
    form = build_form(spec)
    gone = build_form(spec, {"union": {"selection": "gone", "value": {}}})

    assert form.collect() == {"union": {"selection": None, "value": {}}}
    assert list(union_of(form).children()) == []
    assert gone.collect() == {"union": {"selection": "gone", "value": {}}}
    union_of(form).choose("a")
    union_of(form).restore()
    assert union_of(form).selection is None
    union_of(gone).restore()
    assert union_of(gone).selection == "gone"


def test_entries_are_added_moved_and_removed():
    """The paths of entries follow their positions."""
    form = build_form(SPEC, {"words": ["a", "b", "c"]})
    words = list_of(form, "words")
    first, last = words.items[0], words.items[2]

    assert words.move(last, -1) == 1
    assert words.move(first, -1) == 0
    assert words.move(first, 1) == 1
    assert words.collect() == ["c", "a", "b"]
    assert first.path == ("words", "1")
    added = words.add()
    assert added.collect() == ""
    assert added.path == ("words", "3")
    pair = list_of(form, "pairs").add()
    assert isinstance(pair, Group)
    assert pair.collect() == {"name": None, "value": "v"}
    assert not pair.is_changed


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("object", "name"), ("object", "name")),
        (("object", "gone"), ("object",)),
        (("union", "selection"), ("union",)),
        (("union", "value", "x"), ("union", "value", "x")),
        (("words", "0"), ("words", "0")),
        (("words", "7"), ("words",)),
        (("gone",), ()),
    ],
)
def test_paths_lead_to_places(path, found):
    """A path that leads nowhere leads to the last place on its way."""
    assert find(build_form(SPEC), path).path == found


def test_immutable_is_locked_once_it_is_saved():
    """A prefill is not saved yet; a saved nothing can still be filled in."""
    spec = {
        key: forms.text(key, required=False, immutable=True)
        for key in ("saved", "empty", "prefilled", "fresh")
    }

    form = build_form(
        spec, {"saved": "s", "empty": None}, {"saved": "s", "prefilled": "p"}
    )

    locked = [node.key for node in form.children() if node.is_off]
    assert locked == ["saved"]


def test_a_saved_variant_locks_what_is_immutable_in_it_only():
    """Another variant was never saved."""
    inner = {"x": forms.text("X", required=False, immutable=True)}
    variants = {"a": forms.variant("A", inner), "b": forms.variant("B", inner)}
    spec = {"union": forms.union("U", variants, default="a", immutable=False)}
    value = {"selection": "a", "value": {"x": "s"}}

    form = build_form(spec, {"union": value})

    assert leaf(form, "union", "value", "x").is_off
    union_of(form).choose("b")
    assert not leaf(form, "union", "value", "x").is_off


def test_a_list_that_is_off_is_off_inside_and_a_union_is_not():
    """Of a union that is off only the choice is fixed, as the check has it."""
    spec = {
        "pairs": forms.list_of(
            "Pairs", forms.object_items(PAIR), disabled="Not now.", default=[{}]
        ),
        "union": SPEC["union"] | {"disabled": "Not now."},
    }
    form = build_form(spec)

    off = {node.path for node in form.walk() if node.is_off}

    assert off == {
        ("pairs",),
        ("pairs", "0"),
        ("pairs", "0", "name"),
        ("pairs", "0", "value"),
        ("union",),
    }


def test_what_is_off_collects_its_default():
    """A form with fields that are off can be sent."""
    off = {"disabled": "Not now."}
    spec: forms.InputSpec = {
        "union": SPEC["union"] | off | {"default": None},
        "toggle": forms.toggle("T", default=None) | off,
        "select": forms.select("S", {"a": "A"}, default=None) | off,
        "text": forms.text("X", required=True) | off,
    }

    value = build_form(spec).collect()

    assert value == dict.fromkeys(spec)
    assert validate_input(spec, value) == value


def test_a_switch_without_a_default_is_off():
    """A switch has two positions, so a form that opens with it can be sent."""
    assert build_form({"t": forms.toggle("T", default=None)}).collect() == {"t": False}


def test_a_default_may_be_made_at_random():
    """The rule of a default is followed when the form opens."""
    rule = {"charset": "0-9", "len": 4}

    value = build_form({"t": forms.text("T", required=True, default=rule)}).collect()

    assert re.fullmatch("[0-9]{4}", value["t"])


def test_a_changed_field_with_a_warning_asks_once():
    """Nothing is asked for what is as it was, or was confirmed."""
    spec = {"t": forms.text("T", required=True, default="a", warning="Careful.")}
    form = build_form(spec)
    field = leaf(form, "t")

    assert not field.must_ask
    field.type_text("b")
    assert field.must_ask
    field.is_confirmed = True
    assert not field.must_ask
    field.is_confirmed = False
    field.restore()
    assert not field.must_ask


def test_names_and_kinds():
    """A place says what it is called; entries and the form have no name."""
    form = build_form(SPEC)
    words = list_of(form, "words")

    assert (form.name, form.kind) == ("", "object")
    assert (words.name, words.kind) == ("Words", "list")
    assert words.items[0].name == ""


def test_the_gallery_shows_every_type_and_option():
    """A type or option that is added to the language must be added to the gallery."""
    shown = list(_fields(GALLERY_SPEC))
    kinds = {field["type"] for field in shown}
    options = {
        key
        for field in shown
        for key, value in field.items()
        if value not in (None, False)
    }

    assert kinds == {
        "text",
        "textarea",
        "number",
        "toggle",
        "triState",
        "select",
        "multiselect",
        "list",
        "object",
        "union",
        "color",
        "datetime",
        "file",
        "hidden",
    }
    assert options >= {
        "description",
        "warning",
        "footnote",
        "disabled",
        "immutable",
        "masked",
        "generate",
        "patterns",
        "placeholder",
        "minLength",
        "maxLength",
        "min",
        "max",
        "step",
        "integer",
        "units",
        "inputmode",
        "minRows",
        "uniqueBy",
        "displayAs",
        "extensions",
        "required",
        "default",
        "values",
        "variants",
    }
    assert build_form(GALLERY_SPEC, GALLERY_SAVED).collect()["hidden"] == {"a": 1}


def _fields(spec):
    for field in spec.values():
        yield field
        inner = field.get("spec")
        if inner is not None and field["type"] == "list":
            yield inner
            inner = inner.get("spec")
        yield from _fields(inner or {})
        for variant in field.get("variants", {}).values():
            yield from _fields(variant["spec"])

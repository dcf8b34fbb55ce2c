"""The tree of errors: codes, exit codes, HTTP statuses and the one JSON shape."""

from __future__ import annotations

import pytest

from vllm_pkg import errors


def _tree(root: type[errors.ServiceError]) -> list[type[errors.ServiceError]]:
    found = [root]
    for child in root.__subclasses__():
        found += _tree(child)
    return found


ALL = _tree(errors.ServiceError)


@pytest.mark.parametrize("kind", ALL)
def test_each_error_is_complete(kind):
    """Each class has a docstring, a code, an exit code of the design and a hint."""
    assert kind.__doc__
    assert kind.code
    assert kind.exit_code in {2, 3, 70, 73, 74, 75, 77, 78}
    assert 400 <= kind.http_status < 600
    assert kind.default_hint


def test_codes_are_unique():
    """No two classes share a code, so a client can tell them apart."""
    codes = [kind.code for kind in ALL]

    assert len(codes) == len(set(codes))


def test_the_drawn_tree_names_every_class():
    """The tree on top of the module names each class, so it cannot go stale."""
    drawn = errors.__doc__ or ""

    assert [kind.__name__ for kind in ALL if kind.__name__ not in drawn] == []


def test_the_package_offers_the_classes_of_its_modules():
    """Whoever imports the package has each error that stands in a module of it."""
    own = {
        kind.__name__
        for kind in ALL
        if kind.__module__.startswith(f"{errors.__name__}.")
    }

    assert own
    assert own - set(errors.__all__) == set()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("check the name", "Check the name."),
        ("first, look.", "First, look."),
        ("org/name is gated", "org/name is gated."),
        ("--host is reserved", "--host is reserved."),
        ("", "."),
        ("did you mean x?", "Did you mean x?"),
    ],
)
def test_a_message_becomes_a_sentence(text, sentence):
    """It begins with a capital where it begins with a word, and ends with one stop."""
    assert errors.as_sentence(text) == sentence


def test_json_shape():
    """An error prints as code, message and hint under one key."""
    error = errors.PortInUse("port 1 is in use", hint="stop it")

    assert error.as_json() == {
        "error": {
            "code": "port-in-use",
            "message": "port 1 is in use",
            "hint": "stop it",
        }
    }


def test_json_shape_with_fields():
    """A refused form says which fields are wrong, an empty list is left out."""
    problem = errors.FieldProblem(("config", "args"), "a quote is not closed")

    with_fields = errors.InvalidArgument("refused", fields=(problem,)).as_json()
    without = errors.InvalidArgument("refused").as_json()

    assert with_fields["error"]["fields"] == [
        {"path": ["config", "args"], "message": "a quote is not closed"}
    ]
    assert "fields" not in without["error"]


def test_deletion_incomplete_keeps_the_bytes():
    """The bytes that were really freed are part of the error."""
    assert errors.DeletionIncomplete("x", actual_bytes=7).actual_bytes == 7

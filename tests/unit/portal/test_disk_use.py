"""The disk as parts of a whole."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.pages.models.disk_use import PartKind, divide_disk


def _model(name, size_bytes):
    return {"model": name, "sizeBytes": size_bytes}


def test_the_disk_is_models_other_files_and_free_space():
    """The largest model comes first, and the shares are those of the whole disk."""
    parts = divide_disk([_model("a/s", 10), _model("a/l", 30)], 200, 100)

    assert [(p.kind, p.name, p.size_bytes, p.percent) for p in parts] == [
        (PartKind.MODEL, "a/l", 30, 15.0),
        (PartKind.MODEL, "a/s", 10, 5.0),
        (PartKind.OTHER, "", 60, 30.0),
        (PartKind.FREE, "", 100, 50.0),
    ]


def test_many_small_models_are_one_part():
    """From the sixth on they stand together, with their number."""
    models = [_model(f"a/{number}", 10 - number) for number in range(7)]

    parts = divide_disk(models, 1000, 500)

    more = next(part for part in parts if part.kind is PartKind.MORE_MODELS)
    assert (more.models, more.size_bytes) == (2, 5 + 4)
    assert sum(part.kind is PartKind.MODEL for part in parts) == 5


def test_models_that_share_files_leave_nothing_for_the_rest():
    """Together they seem to be more than the disk holds; no part is below zero."""
    parts = divide_disk([_model("a/x", 90), _model("a/y", 90)], 200, 80)

    assert PartKind.OTHER not in {part.kind for part in parts}
    assert sum(part.percent for part in parts) == pytest.approx(100)


def test_nothing_known_is_no_part():
    """A disk of which nothing is known has no parts at all."""
    assert divide_disk([], 0, 0) == ()

"""The model cache as rows, and what a removal takes and gives."""

from __future__ import annotations

import pytest

from vllm_pkg.portal.pages.models.cache_rows import (
    cache_rows,
    describe_removal,
    describe_removed,
)
from vllm_pkg.portal.texts.catalogue import load_texts

EN = load_texts("en")
SPACE = "\N{NO-BREAK SPACE}"
GIB = 1024**3


def _revision(commit="1" * 40, **changes):
    return {
        "commit": commit,
        "refs": ["main"],
        "sizeBytes": 2 * GIB,
        "freesBytes": GIB,
        "files": 3,
        "isPartial": False,
        "isInUse": False,
    } | changes


def _model(name="acme/model", **changes):
    return {
        "model": name,
        "repository": name,
        "kind": "model",
        "sizeBytes": 2 * GIB,
        "freesBytes": 2 * GIB,
        "isPartial": False,
        "isInUse": False,
        "lastUsed": "2026-01-01T00:00:00+00:00",
        "revisions": [_revision()],
    } | changes


def _plan(**changes):
    return {
        "model": "acme/model",
        "files": 3,
        "freesBytes": 2 * GIB,
        "sharedBytes": 0,
        "leftoverBytes": 0,
    } | changes


def test_what_was_used_last_comes_first():
    """The order follows the last use, and then the name."""
    older = _model("acme/old", lastUsed="2025-01-01T00:00:00+00:00")

    rows = cache_rows(EN, [older, _model("acme/new")])

    assert [row.key for row in rows] == ["acme/new", "acme/old"]


def test_a_model_says_what_it_occupies_and_how_it_is():
    """One revision is not listed apart; nothing keeps it from being removed."""
    (row,) = cache_rows(EN, [_model()])

    assert row.facts == (f"Occupies 2.0{SPACE}GiB", "Complete")
    assert (row.revisions, row.obstacle, row.is_model) == ((), None, True)


def test_a_model_that_shares_files_says_what_removing_it_frees():
    """That is less than it occupies."""
    (row,) = cache_rows(EN, [_model(freesBytes=GIB, isPartial=True)])

    assert row.facts[1:] == (f"Removing it frees 1.0{SPACE}GiB", "Not complete")
    assert row.is_partial


def test_a_model_in_use_cannot_be_removed():
    """The row says why."""
    (row,) = cache_rows(EN, [_model(isInUse=True)])

    assert row.facts[-1] == "In use"
    assert row.obstacle == "It cannot be removed while the service uses it."


def test_several_revisions_are_listed_each():
    """With their names, what each frees, and whether it can go."""
    unnamed = _revision("2" * 40, refs=[], isPartial=True, isInUse=True)

    (row,) = cache_rows(EN, [_model(revisions=[_revision(), unnamed])])

    assert "2 revisions" in row.facts
    first, second = row.revisions
    assert (first.name, first.commit) == ("Revision 111111111111 (main)", "1" * 40)
    assert first.facts[1:] == (f"Removing it frees 1.0{SPACE}GiB", "Complete")
    assert first.obstacle is None
    assert second.name == "Revision 222222222222"
    assert second.facts[2:] == ("Not complete", "In use")
    assert second.obstacle is not None


def test_what_an_interrupted_removal_left_can_only_be_removed():
    """It is named by its repository, and is no model."""
    left = _model("leftover/x", repository="acme/gone", kind="leftover")

    (row,) = cache_rows(EN, [left | {"revisions": []}])

    assert (row.name, row.key, row.is_model) == ("acme/gone", "leftover/x", False)
    assert "Left by an interrupted removal" in row.facts


def test_a_removal_says_what_is_lost_and_what_is_gained():
    """The size stands on the button, too."""
    asked = describe_removal(EN, "acme/model", _plan())

    assert asked.title == "Remove acme/model?"
    assert asked.lost == "It must be downloaded again to be used. 3 files go."
    assert asked.gained == f"2.0{SPACE}GiB of disk space."
    assert asked.confirm == f"Delete 2.0{SPACE}GiB"


@pytest.mark.parametrize(
    ("changes", "part", "words"),
    [
        ({"sharedBytes": GIB}, "lost", f"1.0{SPACE}GiB stay on the disk"),
        ({"leftoverBytes": GIB}, "gained", f"Another 1.0{SPACE}GiB go"),
        ({"model": "leftover/x"}, "lost", "Nothing that could be used"),
    ],
)
def test_a_removal_tells_what_is_special(changes, part, words):
    """Shared files stay, leftovers go along, and leftovers are no loss."""
    asked = describe_removal(EN, "acme/model", _plan(**changes))

    assert words in getattr(asked, part)


def test_a_removal_that_is_done_says_what_came_free():
    """Leftovers that went along are counted in."""
    report = {"freedBytes": GIB, "leftoverBytes": GIB}

    told = describe_removed(EN, "acme/model", report)

    assert told == f"acme/model was removed. 2.0{SPACE}GiB came free."

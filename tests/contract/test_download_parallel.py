"""Several files of a repository are in flight at once, in whatever order they end."""

from __future__ import annotations

import pytest

from support import hub_faults
from support.downloads import FILES, WEIGHTS
from vllm_pkg.models.download import transfer
from vllm_pkg.models.tiny import tiny_files

SMALL = "tokenizer.json"


def test_two_files_are_in_flight_at_once(downloads, hub):
    """The Hub holds the first request until one for another file is there."""
    for name in (WEIGHTS, SMALL):
        hub.fail("org/tiny", name, hub_faults.together())

    downloads.ensure("org/tiny")

    assert hub.at_once >= 2
    assert downloads.names("org/tiny") == FILES


def test_the_hub_would_see_one_after_another(downloads, hub, monkeypatch):
    """The control: a program that fetches one file at a time never meets itself."""
    monkeypatch.setattr(transfer, "PARALLEL", 1)
    for name in (WEIGHTS, SMALL):
        hub.fail("org/tiny", name, hub_faults.together())

    downloads.ensure("org/tiny")

    assert hub.at_once == 1
    assert downloads.names("org/tiny") == FILES


@pytest.mark.parametrize(("first", "last"), [(WEIGHTS, SMALL), (SMALL, WEIGHTS)])
def test_the_order_in_which_files_end_does_not_matter(downloads, hub, first, last):
    """Whichever of two comes last, both are there, and nothing came twice."""
    hub.fail("org/tiny", last, hub_faults.behind(first))

    downloads.ensure("org/tiny")

    files = tiny_files()
    assert downloads.names("org/tiny") == FILES
    for name in (first, last):
        assert downloads.content("org/tiny", name) == files[name]
        assert downloads.sent_bytes("org/tiny", name) == len(files[name])

"""Random texts by StartOS's rule."""

from __future__ import annotations

import re

import pytest

from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.portal.forms.random_text import random_text, read_charset


@pytest.mark.parametrize(
    ("charset", "characters"),
    [
        ("a-e", "abcde"),
        ("a-c,A-C,0-2,_", "abcABC012_"),
        ("a-c,b-d", "abcd"),
        (",", ","),
        (",,a", ",a"),
        ("-,a", "-a"),
        ("x", "x"),
    ],
)
def test_sets_are_characters_and_ranges(charset, characters):
    """Commas part ranges and characters; each character counts once."""
    assert read_charset(charset) == characters


@pytest.mark.parametrize("charset", ["", "z-a", "ab", "a-"])
def test_what_is_no_set_is_refused(charset):
    """A set that cannot be understood, or is empty, is a fault of the package."""
    with pytest.raises(PackageDataInvalid):
        read_charset(charset)


def test_each_character_is_chosen_from_the_set():
    """The text has the length asked for, and every character is picked on its own."""
    picks = iter("ba")

    text = random_text({"charset": "a-b", "len": 2}, lambda _: next(picks))

    assert text == "ba"


def test_texts_are_random():
    """Two texts of a usual rule differ, and match it."""
    rule = {"charset": "a-z,A-Z,0-9", "len": 22}

    texts = {random_text(rule) for _ in range(3)}

    assert len(texts) == 3
    assert all(re.fullmatch("[A-Za-z0-9]{22}", text) for text in texts)

"""The engine's key is taken out of what it writes, however that is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_pkg.engine.recorder.hiding import Hider

SECRET = b"abacabad"


def hidden(chunks, secret=SECRET):
    """Return what comes out of chunks."""
    hider = Hider(secret)
    return b"".join([*(hider.hide(chunk) for chunk in chunks), hider.end()])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", b""),
        (b"nothing of it\n", b"nothing of it\n"),
        (b"x abacabad y", b"x *** y"),
        (b"abacabadabacabad", b"******"),
        (b"abacabacabad", b"abac***"),
        (b"abacaba", b"abacaba"),
        (b"x\n" * 5 + b"abacabad", b"x\n" * 5 + b"***"),
    ],
)
def test_wherever_it_is_cut_in_two(text, expected):
    """The secret is replaced, and every other byte stays."""
    for cut in range(len(text) + 1):
        assert hidden([text[:cut], text[cut:]]) == expected
    assert hidden([bytes([byte]) for byte in text]) == expected


@given(
    st.lists(st.sampled_from([SECRET, b"ab", b"acabad", b"a", b"\n", b"xy"])),
    st.lists(st.integers(0, 60)),
)
def test_cuts_do_not_matter(parts, cuts):
    """In as many chunks as you like it is what it is in one."""
    text = b"".join(parts)
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    chunks = [text[begin:end] for begin, end in pairwise(edges)]
    assert hidden(chunks) == text.replace(SECRET, b"***")


def test_whole_lines_are_never_held_back():
    """What ends with something else than the secret's beginning passes at once."""
    hider = Hider(SECRET)
    assert hider.hide(b"a line\n") == b"a line\n"
    assert hider.hide(b"a prompt ab") == b"a prompt "
    assert hider.hide(b"\n") == b"ab\n"


@pytest.mark.parametrize("secret", [b"", b"abacaba"])
def test_what_is_too_short_to_be_told_from_words_is_left(secret):
    """Without a secret, or with one of a few letters, everything passes."""
    assert hidden([b"abac", b"abad"], secret) == b"abacabad"

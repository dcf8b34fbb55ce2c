"""Numbers as people type them: read where they are clear, kept where they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_pkg.portal.forms.numbers import number_text, parse_number


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("", ".", None),
        ("  ", ".", None),
        (" 7 ", ".", 7),
        ("-3", ".", -3),
        ("\N{MINUS SIGN}3", ".", -3),
        ("+0.5", ".", 0.5),
        (".5", ".", 0.5),
        ("5.", ".", 5.0),
        ("1e3", ".", 1000.0),
        ("0,5", ".", 0.5),
        ("0,5", ",", 0.5),
        ("0.5", ",", 0.5),
        ("1,125", ",", 1.125),
        ("0.125", ",", 0.125),
    ],
)
def test_what_is_clear_is_a_number(text, decimal, number):
    """Either decimal sign is understood where it cannot mean a thousand."""
    parsed = parse_number(text, decimal)

    assert parsed == number
    assert type(parsed) is type(number)


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("abc", "."),
        (".", "."),
        ("-", "."),
        ("1e", "."),
        ("e5", "."),
        ("1_000", "."),
        ("1,000", "."),
        ("1.000", ","),
        ("-1,000,000", "."),
        ("1,000.5", "."),
        ("1.5.5", "."),
        ("\N{ARABIC-INDIC DIGIT FIVE}", "."),
        ("9" * 5000, "."),
    ],
)
def test_what_is_not_clear_stays_text(text, decimal):
    """What may mean two numbers or none is kept, for the check to say so."""
    assert parse_number(text, decimal) == text


@pytest.mark.parametrize(
    ("value", "decimal", "text"),
    [
        (None, ".", ""),
        (5, ".", "5"),
        (5.0, ".", "5"),
        (0.5, ",", "0,5"),
        ("abc.", ",", "abc."),
        (1e300, ".", "1e+300"),
    ],
)
def test_numbers_stand_as_they_were_typed(value, decimal, text):
    """A number is written plainly, with the decimal sign of the language."""
    assert number_text(value, decimal) == text


@given(
    st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([".", ","]),
)
def test_what_is_shown_is_read_again(value, decimal):
    """Opening a form and leaving a number as it is never changes it."""
    assert parse_number(number_text(value, decimal), decimal) == value

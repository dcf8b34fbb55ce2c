"""
Numbers as people type and read them.

Pure. What cannot be read as a number stays the text it is: the check then says what
was expected, and nothing that was typed is lost.
"""

from __future__ import annotations

import re
from typing import Any, Final

_NUMBER: Final = re.compile(r"[+-]?(\d+)?(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
# 1.000 is a thousand to some and one to others: asking is better than guessing.
_GROUPED: Final = r"[+-]?[1-9]\d{{0,2}}({other}\d{{3}})+"


def parse_number(text: str, decimal: str) -> float | str | None:
    """
    Return the number that a person typed.

    Args:
        text: What was typed.
        decimal: The decimal sign of the language, a full stop or a comma.
    Returns:
        An integer, a float, None for nothing, or the text where it is no number.
    """
    typed = text.strip()
    if not typed:
        return None
    other = "." if decimal == "," else ","
    has_both = decimal in typed and other in typed
    if has_both or re.fullmatch(_GROUPED.format(other=re.escape(other)), typed):
        return text
    plain = typed.replace(",", ".").replace("\N{MINUS SIGN}", "-")
    if _WHOLE.fullmatch(plain):
        # Python refuses to read more digits than that; no field takes them.
        return int(plain) if len(plain) < 1000 else text  # noqa: PLR2004
    found = _NUMBER.fullmatch(plain)
    if found is None or not re.search(r"\d", (found[1] or "") + (found[2] or "")):
        return text
    return float(plain)


def number_text(value: Any, decimal: str) -> str:
    """Return how a number stands in its field; what is no number stands as it is."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004  # as floats are exact
        value = int(value)
    text = str(value)
    is_number = isinstance(value, (int, float))
    return text.replace(".", decimal) if is_number else text

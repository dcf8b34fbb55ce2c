"""
Random texts by StartOS's rule: a set of characters and a length.

Pure but for chance, which is handed in. A set is written as characters and ranges
between commas, such as ``a-z,A-Z,0-9,_``; its own comma stands as ``,`` between commas.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import PackageDataInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    Choose = Callable[[str], str]

_PART: Final = re.compile(r"(.)(?:-(.))?(?:,|\Z)", re.DOTALL)


def random_text(rule: dict[str, Any], choose: Choose = secrets.choice) -> str:
    """
    Return a text by a rule.

    Args:
        rule: With ``charset`` and ``len``.
        choose: Picks one character of a text.
    Raises:
        PackageDataInvalid: the set of characters cannot be understood.
    """
    characters = read_charset(rule["charset"])
    return "".join(choose(characters) for _ in range(rule["len"]))


def read_charset(text: str) -> str:
    """
    Return every character of a set, each once and in its order.

    Raises:
        PackageDataInvalid: it cannot be understood, or has no characters.
    """
    characters: dict[str, None] = {}
    position = 0
    while position < len(text):
        found = _PART.match(text, position)
        first, last = found.groups() if found else ("", None)
        if not found or (last is not None and last < first):
            raise PackageDataInvalid(f"no set of characters: {text!r}")
        codes = range(ord(first), ord(last or first) + 1)
        characters |= dict.fromkeys(map(chr, codes))
        position = found.end()
    if not characters:
        raise PackageDataInvalid("a set of characters is empty")
    return "".join(characters)

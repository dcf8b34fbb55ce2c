"""
What an entry of a list is called: ``displayAs`` with its places filled.

Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vllm_pkg.actions.forms import InputSpec

_PLACE: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
HIDDEN: Final = "•••"


def fill_template(template: str | None, spec: InputSpec, value: dict[str, Any]) -> str:
    """
    Return the name of an entry, or an empty text where it has none yet.

    Args:
        template: Such as ``{{name}}``; parts of a key stand between full stops.
        spec: The fields of the entry: what is masked there stays masked.
        value: The entry.
    """

    def fill(found: re.Match[str]) -> str:
        parts = found[1].split(".")
        if spec.get(parts[0], {}).get("masked"):
            return HIDDEN if value.get(parts[0]) else ""
        inner: Any = value
        for part in parts:
            inner = inner.get(part) if isinstance(inner, dict) else None
        return str(inner) if isinstance(inner, (str, int, float)) else ""

    return _PLACE.sub(fill, template or "").strip()

"""Rules for the texts of the portal, and for how its code names them."""

from __future__ import annotations

import ast
import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vllm_pkg.portal.texts.catalogue import Entry

CATEGORIES = {
    "en": {"one", "other"},
    "es": {"one", "other"},
    "de": {"one", "other"},
    "pl": {"one", "few", "many", "other"},
    "fr": {"one", "other"},
}
_CALLED = re.compile(r"(?:.*_)?texts")


def variants(entry: Entry) -> list[str]:
    """Return the texts of an entry, one per plural category."""
    return [entry] if isinstance(entry, str) else list(entry.values())


def places(entry: Entry) -> set[str]:
    """Return the names of the places of an entry."""
    formatter = string.Formatter()
    return {
        name
        for text in variants(entry)
        for _, name, _, _ in formatter.parse(text)
        if name is not None
    }


def problems(
    language: str,
    entries: Mapping[str, Entry],
    english: Mapping[str, Entry],
    same_in_all: Iterable[str] = (),
) -> list[str]:
    """Return what is wrong with the texts of a language, one line each."""
    found = [f"{language}: {key} is missing" for key in english.keys() - entries.keys()]
    found += [
        f"{language}: {key} is superfluous" for key in entries.keys() - english.keys()
    ]
    for key in entries.keys() & english.keys():
        entry, original = entries[key], english[key]
        if places(entry) != places(original):
            found.append(f"{language}: {key} has other places")
        if isinstance(entry, str) != isinstance(original, str):
            found.append(f"{language}: {key} differs in having plurals")
        elif isinstance(entry, dict) and set(entry) != CATEGORIES[language]:
            found.append(f"{language}: {key} has other plural categories")
        if not all(text.strip() for text in variants(entry)):
            found.append(f"{language}: {key} is empty")
        is_translated = language == "en" or variants(entry) != variants(original)
        if not is_translated and key not in set(same_in_all):
            found.append(f"{language}: {key} is the English text")
    return sorted(found)


def named_texts(source: str) -> set[str]:
    """Return the keys that calls such as ``texts("home.ready")`` name."""
    return {
        call.args[0].value
        for call in _calls(ast.parse(source))
        if isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def name_prefixes(source: str) -> set[str]:
    """Return the beginnings of keys that an f-string makes, such as ``phase.``."""
    return {
        str(first.value)
        for call in _calls(ast.parse(source))
        if isinstance(call.args[0], ast.JoinedStr)
        and isinstance(first := call.args[0].values[0], ast.Constant)
    }


def all_literals(source: str) -> set[str]:
    """Return every text that stands in some code."""
    return {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _calls(tree: ast.AST) -> Iterable[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            name = getattr(function, "id", getattr(function, "attr", ""))
            if _CALLED.fullmatch(name):
                yield node

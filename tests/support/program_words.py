"""Rules for the phrases of the program that the portal knows in other languages."""

from __future__ import annotations

import ast
import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vllm_pkg.portal.texts.catalogue import Entry

PLACE = "{}"
_WORDS = re.compile(r"[A-Za-z]{2,}[,;:.]? (?:\S+ )*?[A-Za-z]{2,}")
_BORDER = re.compile(r"(?<=[.?!}]) (?=[A-Z{])")


def template_shape(text: str) -> str:
    """Return a template with its places left blank."""
    parts = string.Formatter().parse(text)
    return "".join(
        literal + (PLACE if name is not None else "") for literal, name, _, _ in parts
    )


def template_shapes(phrases: Mapping[str, Entry]) -> dict[str, str]:
    """Return the templates of phrases with places left blank, and their keys."""
    return {
        template_shape(text): key
        for key, entry in phrases.items()
        for text in ((entry,) if isinstance(entry, str) else entry.values())
    }


def literal_shapes(source: str) -> set[str]:
    """Return every text of some code that is no docstring, its values left blank."""
    tree = ast.parse(source)
    ignored = _docstrings(tree) | _parts_of_fstrings(tree)
    shapes = set()
    for node in ast.walk(tree):
        if node in ignored:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # It may be formatted later.
            shapes.add(_blank_places(node.value).strip())
        elif isinstance(node, ast.JoinedStr):
            shapes.add("".join(map(_shape_of_value, node.values)).strip())
    return shapes


def with_parts(shapes: Iterable[str]) -> set[str]:
    """Return texts, each sentence of them, and all of them without a full stop."""
    whole = set(shapes)
    parts = {part for shape in whole for part in _BORDER.split(shape)} | whole
    return parts | {part.removesuffix(".") for part in parts}


def words_for_people(shapes: Iterable[str]) -> set[str]:
    """Return those of some texts that have two words at least."""
    return {shape for shape in shapes if _WORDS.search(shape)}


def unsaid(phrases: Mapping[str, Entry], shapes: Iterable[str]) -> set[str]:
    """Return the keys of phrases with a template that stands in none of some texts."""
    known = with_parts(shapes)
    return {
        key
        for shape, key in template_shapes(phrases).items()
        if shape.removesuffix(".") not in known
    }


def unknown(phrases: Mapping[str, Entry], shapes: Iterable[str]) -> set[str]:
    """Return those texts for people for which there is no phrase."""
    known = {shape.removesuffix(".") for shape in template_shapes(phrases)}

    def is_known(shape: str) -> bool:
        parts = [part.removesuffix(".") for part in _BORDER.split(shape)]
        told = [part for part in parts if part != PLACE]
        return shape.removesuffix(".") in known or all(part in known for part in told)

    return {shape for shape in words_for_people(shapes) if not is_known(shape)}


def _blank_places(text: str) -> str:
    try:
        return template_shape(text)
    except ValueError:
        # A brace that is none of a template's.
        return text


def _shape_of_value(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else PLACE


def _docstrings(tree: ast.AST) -> set[ast.AST]:
    bodies = (getattr(node, "body", None) for node in ast.walk(tree))
    return {
        body[0].value
        for body in bodies
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr)
    }


def _parts_of_fstrings(tree: ast.AST) -> set[ast.AST]:
    return {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }

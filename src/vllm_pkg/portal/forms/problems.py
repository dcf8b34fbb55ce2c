"""
What is wrong with a form, each problem at the place that caused it.

Pure. The check is that of the command line, and so are its words, which are said in the
language of the page; a field left empty has words of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.actions.validation import validate_input
from vllm_pkg.errors import InvalidArgument, as_sentence
from vllm_pkg.portal.forms.model import Leaf, Union, find
from vllm_pkg.portal.said import say_plainly

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.errors import FieldProblem
    from vllm_pkg.portal.forms.model import Group, Node
    from vllm_pkg.portal.texts.catalogue import Texts

_SAME: Final = re.compile(r"is the same as entry (\d+)")


@dataclass(frozen=True)
class Placed:
    """
    Everything that is wrong with one place of the form.

    Args:
        node: The place.
        text: What is wrong, in sentences.
    """

    node: Node
    text: str


def check_form(form: Group) -> tuple[FieldProblem, ...]:
    """Return every problem of what is in the form now."""
    try:
        validate_input(form.field["spec"], form.collect())
    except InvalidArgument as error:
        return error.fields
    return ()


def place_problems(
    form: Group,
    problems: Iterable[FieldProblem],
    texts: Texts,
    unreadable: Iterable[Node] = (),
) -> list[Placed]:
    """
    Return the problems by place, in the order of the form.

    Args:
        form: What is wrong.
        problems: Each with its path; where a path leads nowhere, the problem stands at
            the last place on the way there, at worst at the form as a whole.
        texts: The language of the page.
        unreadable: Fields with something that the browser does not hand out, such as
            half a date: the check took it for nothing.
    """
    half = texts("forms.problem.unreadable")
    found: dict[Node, dict[str, None]] = {}
    for problem in problems:
        node = find(form, problem.path)
        found.setdefault(node, {})[problem_text(node, problem.message, texts)] = None
    found |= {node: {half: None} for node in unreadable}
    return [
        Placed(node, " ".join(found[node])) for node in form.walk() if node in found
    ]


def problem_text(node: Node, message: str, texts: Texts) -> str:
    """Return what is wrong as a sentence."""
    if isinstance(node, Union) and node.selection is None:
        return texts("forms.problem.choose")
    if isinstance(node, Leaf) and node.is_empty:
        is_choice = node.kind in {"select", "triState", "file"}
        return texts("forms.problem.choose" if is_choice else "forms.problem.empty")
    if found := _SAME.fullmatch(message):
        # The check counts from 0, as its paths do; people count from 1.
        return texts("forms.problem.same", number=int(found[1]) + 1)
    return say_plainly(texts, as_sentence(message))


def summary(wrong: list[Node], texts: Texts) -> str:
    """
    Return what is announced: how many places are wrong, and which is the first.

    Args:
        wrong: The places, at least one, in the order of the form.
        texts: The language of the page.
    """
    first = wrong[0]
    while not first.name and first.parent is not None:
        first = first.parent
    if not first.name:
        return texts("forms.problem.form")
    return texts("forms.problem.summary", count=len(wrong), name=first.name)

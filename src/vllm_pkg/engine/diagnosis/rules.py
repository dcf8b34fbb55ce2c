"""
The table of causes, read from causes.yaml and checked.

Each rule says by which text, exit status or error of this package a cause is
recognised, what it means in plain words, what to do, and, where a setting helps,
exactly which.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from vllm_pkg.errors import PackageDataInvalid
from vllm_pkg.package.loading import PackageModel, Tuple, parse_data

CAUSES_FILE: Final = "causes.yaml"
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
Name = Annotated[str, Field(pattern=r"^(-[\w-]+|[A-Z][A-Z0-9_]*)$")]
Text = Annotated[str, Field(min_length=1)]
# As text, so that 0.01 is exactly that.
Number = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]


def _as_texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Match(PackageModel):
    """
    One text by which a cause is recognised.

    Args:
        contains: What stands in the line; several texts must all stand in it.
        pattern: What must match as well; its named groups are values.
    """

    contains: Annotated[Tuple[Text], Field(min_length=1), BeforeValidator(_as_texts)]
    pattern: str | None = None

    @property
    def groups(self) -> frozenset[str]:
        """The names of the values that it finds."""
        return frozenset(re.compile(self.pattern or "").groupindex)

    @model_validator(mode="after")
    def _pattern_compiles(self) -> Self:
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            message = f"pattern: is no regular expression: {error}"
            raise ValueError(message) from error
        return self


class ChangeRule(PackageModel):
    """
    A setting that would help.

    Args:
        set: The option or environment variable to set.
        remove: The option or environment variable to remove.
        value: What to set it to, with ``{name}`` for values of the pattern; None for
            an option without a value.
        quotient: Two values, or numbers, of which the first is divided by the second.
        share: What to multiply the number by.
        round_down_to: A number of which the result is to be a multiple.
        round_up_to_one_of: Numbers of which the smallest that suffices is taken.
        even_parts_of: A value that has to be divided: the largest power of two that
            divides it evenly is taken, up to the number.
        least: Below it the change is not worth making, and none is offered.
        most: The same above it.
    """

    set: Name | None = None
    remove: Name | None = None
    value: str | None = None
    quotient: Annotated[Tuple[Text], Field(min_length=2, max_length=2)] | None = None
    share: Number | None = None
    round_down_to: Number | None = None
    round_up_to_one_of: Tuple[int] = ()
    even_parts_of: Text | None = None
    least: Number | None = None
    most: Number | None = None

    @property
    def is_number(self) -> bool:
        """Whether its value is computed."""
        ways = (self.round_down_to, self.quotient, self.even_parts_of)
        return bool(self.round_up_to_one_of) or any(way is not None for way in ways)

    @property
    def names(self) -> frozenset[str]:
        """The names of the values that it needs."""
        needed = set(template_names(self.value or ""))
        needed |= {part for part in self.quotient or () if not part.isdecimal()}
        needed |= {self.even_parts_of} if self.even_parts_of else set()
        return frozenset(needed)

    @model_validator(mode="after")
    def _is_one_change(self) -> Self:
        if (self.set is None) == (self.remove is None):
            message = "expected either set or remove"
            raise ValueError(message)
        if self.value is not None and self.quotient is not None:
            message = "expected either value or quotient"
            raise ValueError(message)
        if self.remove and (self.value or self.quotient):
            message = "remove takes no value"
            raise ValueError(message)
        is_variable = self.set is not None and not self.set.startswith("-")
        if is_variable and self.value is None and self.quotient is None:
            message = "a variable needs a value"
            raise ValueError(message)
        return self


class Rule(PackageModel):
    """
    One cause.

    Args:
        title: A few words.
        explanation: What it means, in whole sentences, with ``{name}`` for values.
        fix: What to do, in whole sentences.
        match: Any of these texts tells it; none: the exit status alone does.
        exit_codes: The exit statuses it goes with; none: any. Negative is a signal.
        codes: Codes of this package's own errors that tell it without any text.
        where: ``error``: only in lines that tell an error. ``any``: in every line.
        during: ``start``: only before the API was ready. ``any``: afterwards too.
        is_general: Whether any other cause in the log tells more than this one.
        is_final: Whether another start would only fail again.
        final_if_more: Two values; it is so too when the first is more than the second.
        changes: The settings that would help, all together.
    """

    title: Text
    explanation: Text
    fix: Text
    match: Tuple[Match] = ()
    exit_codes: Tuple[int] = ()
    codes: Tuple[Identifier] = ()
    where: Literal["error", "any"] = "error"
    during: Literal["start", "any"] = "start"
    is_general: bool = False
    is_final: bool = False
    final_if_more: Annotated[Tuple[Text], Field(min_length=2, max_length=2)] | None = (
        None
    )
    changes: Tuple[ChangeRule] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not (self.match or self.exit_codes or self.codes):
            message = "expected match, exitCodes or codes"
            raise ValueError(message)
        needed = {*template_names(self.explanation), *template_names(self.fix)}
        needed = needed.union(*(change.names for change in self.changes))
        needed.update(self.final_if_more or ())
        if needed and self.codes:
            message = "codes give no values"
            raise ValueError(message)
        for match in self.match or (None,):
            missing = sorted(needed - (match.groups if match else frozenset()))
            if missing:
                message = f"no group of its pattern is called {', '.join(missing)}"
                raise ValueError(message)
        return self


class CauseTable(PackageModel):
    """All causes by id; of two that match one line the earlier is taken."""

    causes: Annotated[dict[Identifier, Rule], Field(min_length=1)]


def template_names(text: str) -> tuple[str, ...]:
    """
    Return the names of the values that stand in a text as ``{name}``.

    Raises:
        ValueError: a brace is not closed.
    """
    return tuple(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def parse_causes(text: str) -> CauseTable:
    """
    Understand the text of a table of causes.

    Raises:
        PackageDataInvalid: it is not what it must be; the message names the rule.
    """
    return parse_data(CauseTable, CAUSES_FILE, text)


@cache
def load_causes() -> CauseTable:
    """
    Read the package's table of causes.

    Raises:
        PackageDataInvalid: it is missing or wrong; the message names the rule.
    """
    try:
        text = files(__package__).joinpath(CAUSES_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise PackageDataInvalid(
            f"{CAUSES_FILE}: cannot be read: {error.strerror}"
        ) from error
    return parse_causes(text)

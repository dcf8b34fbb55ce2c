"""
The strict acceptor of arguments for ``vllm serve``. Pure: values in, values out.

vLLM's parser lets an argument of the user defeat a fixed one that follows: by an
abbreviation, by a dotted name, by an option that swallows the next argument. So only
what is understood whole is accepted: exact names out of the table of the pinned
version, with as many values as it says, and none of the reserved ones. It comes back in
a form that vLLM cannot read otherwise, whatever follows it: the model first; ``-`` in
names; values that begin with ``-``, and those of dotted names, after ``=``.
Source: vLLM 0.32, ``utils/argparse_utils.py``; argparse with ``allow_abbrev``.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.option_checks import (
    dotted_problem,
    first_word,
    is_passable,
    name_problem,
    value_problem,
)
from vllm_pkg.engine.options import Kind, Values
from vllm_pkg.engine.reserved import reserved_environment_problem
from vllm_pkg.errors import EngineStartFailed, FieldProblem, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.engine.options import Option

SHOWN_CHARACTERS_MAX: Final = 60
NO_MODEL: Final = "names no model; begin with it, as org/name or as a folder"
_NEGATIVE: Final = re.compile(r"-\d+")
_NUMBER: Final = re.compile(r"-\.?\d")
_LEVELS: Final = frozenset("0123")
_LEVEL: Final = re.compile("-O=?([0-3])")
_KEYS: Final = re.compile(r"[^\s.=+]+(\.[^\s.=+]+)*\+?")
_HINT: Final = 'correct the arguments with the "Set Model" action'


@dataclass(frozen=True)
class Accepted:
    """
    Arguments that are understood whole.

    Args:
        model: The model they serve.
        arguments: All of them, the model first, in the form described above.
    """

    model: str
    arguments: tuple[str, ...]


def examine_arguments(
    arguments: Sequence[str], options: Mapping[str, Option]
) -> Accepted | tuple[str, ...]:
    """
    Understand arguments of ``vllm serve``.

    Args:
        arguments: What stands after ``vllm serve``.
        options: The table, from `load_options`.
    Returns:
        What was understood, or everything that is wrong with it, one sentence each.
        Sentences never hold values: they may be secrets.
    """
    reader = _Reader(arguments, options)
    reader.read()
    if reader.problems:
        return tuple(dict.fromkeys(reader.problems))
    return Accepted(reader.models[0], (reader.models[0], *reader.accepted))


def accept_arguments(
    arguments: Sequence[str],
    options: Mapping[str, Option],
    path: tuple[str, ...] = ("config", "value", "args"),
) -> Accepted:
    """
    Accept arguments that a person typed, or refuse them.

    Args:
        arguments: What stands after ``vllm serve``.
        options: The table, from `load_options`.
        path: The field they were typed into, for the error.
    Raises:
        InvalidArgument: ``fields`` has one problem per argument that is wrong.
    """
    examined = examine_arguments(arguments, options)
    if isinstance(examined, Accepted):
        return examined
    fields = tuple(FieldProblem(path, problem) for problem in examined)
    message = "; ".join(f"{'.'.join(path)}: {problem}" for problem in examined)
    raise InvalidArgument(message, hint="correct the arguments", fields=fields)


def accept_stored(
    arguments: Sequence[str],
    variables: Sequence[str],
    options: Mapping[str, Option],
) -> Accepted:
    """
    Accept what is stored, before it is executed.

    Another version of the package, or a person, may have written it.

    Args:
        arguments: What stands after ``vllm serve``.
        variables: Names of the environment variables of the engine.
        options: The table, from `load_options`.
    Raises:
        EngineStartFailed: something is refused; the message names it.
    """
    problems = [
        f"serveEnv: {problem}"
        for name in variables
        if (problem := reserved_environment_problem(name))
    ]
    examined = examine_arguments(arguments, options)
    if isinstance(examined, Accepted) and not problems:
        return examined
    if not isinstance(examined, Accepted):
        problems = [*(f"serveArgs: {problem}" for problem in examined), *problems]
    raise EngineStartFailed(
        f"the stored arguments are refused: {'; '.join(problems)}", hint=_HINT
    )


class _Reader:
    """One pass over the arguments, from the first to the last."""

    def __init__(self, arguments: Sequence[str], options: Mapping[str, Option]) -> None:
        self.rest = deque(arguments)
        self.options = options
        self.models: list[str] = []
        self.accepted: list[str] = []
        self.problems: list[str] = []
        self.last = ""

    def read(self) -> None:
        """Read all arguments."""
        if not all(is_passable(argument) for argument in self.rest):
            self.problems.append("has a character that no argument can have")
            return
        while self.rest:
            argument = self.rest.popleft()
            if argument.startswith("-"):
                self._read_option(argument)
            else:
                self._read_alone(argument)
        # What is wrong above may have hidden the model.
        if not self.problems and not self.models:
            self.problems.append(NO_MODEL)

    def _read_alone(self, argument: str) -> None:
        """Read what belongs to no option: the model."""
        if not self.models and argument:
            self.models.append(argument)
        elif not self.models:
            self.problems.append(NO_MODEL)
        elif not self.problems and self.last:
            self.problems.append(
                f"what follows {self.last} belongs to no option; leave it out"
            )
        elif not self.problems:
            first = self.models[0]
            self.problems.append(f"names two models, {first} and {argument}; name one")

    def _read_option(self, argument: str) -> None:
        if self._read_level(argument):
            return
        shown, has_value, value = argument.partition("=")
        base, is_dotted, keys = shown.partition(".")
        name = base.replace("_", "-") if base.startswith("--") else base
        self.last = first_word(shown)[:SHOWN_CHARACTERS_MAX]
        given = value if has_value else None
        option = self.options.get(name)
        problem = name_problem(name, self.options)
        if problem or option is None:
            self.problems.append(f"{self.last} {problem}")
            self._skip_values(option, given)
            return
        if is_dotted:
            self._read_dotted(option, name, keys, given)
        elif option.name == "--model":
            self._read_model(given)
        else:
            self._read_values(option, name, given)

    def _read_level(self, argument: str) -> bool:
        """Read an optimisation level: ``-O3``, ``-O=3`` or ``-O 3``."""
        if argument == "-O" and self.rest and self.rest[0] in _LEVELS:
            level: str | None = self.rest.popleft()
        else:
            found = _LEVEL.fullmatch(argument)
            level = found.group(1) if found else None
        if level is not None:
            self.last = "-O"
            self.accepted += ["--optimization-level", level]
        return level is not None

    def _read_model(self, given: str | None) -> None:
        value = self._one(given, is_number=False)
        if value is None:
            return
        if not value or value.startswith("-"):
            self.problems.append(NO_MODEL)
        elif self.models:
            first = self.models[0]
            self.problems.append(f"names two models, {first} and {value}; name one")
        else:
            self.models.append(value)

    def _read_dotted(
        self, option: Option, name: str, keys: str, given: str | None
    ) -> None:
        problem = ""
        if not option.is_object:
            problem = f"{option.name} takes no JSON object; write it without the dot"
        elif not _KEYS.fullmatch(keys):
            problem = "behind each dot one key must stand; correct the name"
        if problem:
            self._check(problem)
            self._skip_values(option, given)
            return
        value = self._one(given, is_number=True)
        if value is None:
            return
        self._check(dotted_problem(option, keys, value))
        self.accepted.append(f"{name}.{keys}={value}")

    def _read_values(self, option: Option, name: str, given: str | None) -> None:
        if option.values is Values.NONE:
            if given is not None:
                self.problems.append(f"{self.last} takes no value; leave it out")
            self.accepted.append(name)
            return
        if option.values is Values.ONE:
            value = self._one(given, is_number=option.kind is Kind.NUMBER)
            values = [] if value is None else [value]
        else:
            values = self._several(option, given)
        for value in values:
            self._check(value_problem(option, value))
        if given is not None or any(value.startswith("-") for value in values):
            self.accepted += [f"{name}={value}" for value in values]
        else:
            self.accepted += [name, *values]

    def _several(self, option: Option, given: str | None) -> list[str]:
        if given is not None:
            return [given]
        values: list[str] = []
        is_single = option.values is Values.OPTIONAL
        while self.rest and not self.rest[0].startswith("-"):
            values.append(self.rest.popleft())
            if is_single:
                break
        if not values and not is_single:
            self._say_missing()
        return values

    def _one(self, given: str | None, *, is_number: bool) -> str | None:
        """Take the one value of an option; say so when there is none."""
        if given is not None:
            return given
        follows = self.rest[0] if self.rest else "-"
        is_negative = is_number and _NEGATIVE.fullmatch(follows)
        if follows.startswith("-") and not is_negative:
            self._say_missing()
            if _NUMBER.match(follows):
                # It was meant as the value, and is no further problem.
                self.rest.popleft()
            return None
        return self.rest.popleft()

    def _say_missing(self) -> None:
        self.problems.append(
            f"{self.last} needs a value; one that begins with - is written "
            f"{self.last}=VALUE"
        )

    def _skip_values(self, option: Option | None, given: str | None) -> None:
        """Skip what a refused option would take, so that it is not reported too."""
        if not self.models and (
            given is not None or option is None or option.values is Values.NONE
        ):
            return
        while self.rest and not self.rest[0].startswith("-"):
            self.rest.popleft()
            if not self.models:
                return

    def _check(self, problem: str | None) -> None:
        if problem:
            self.problems.append(f"{self.last}: {problem}")

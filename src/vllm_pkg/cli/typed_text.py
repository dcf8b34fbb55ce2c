"""
Commands whose options are flags and plain text, without Typer's conversion of values.

Typer converts with pydantic, also the value of an option that was not given. Importing
it takes a third of the time of `vllm-pkg health`, which monitoring runs each second.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from vllm_pkg.cli.group import PlainGroup

if TYPE_CHECKING:
    import typer


class TextCommand(TyperCommand):
    """A command that gets its options as they were typed; none may be required."""

    def get_params(self, *args: Any) -> list[Any]:
        """Return the parameters, which now leave values alone."""
        return _leave_as_typed(super().get_params(*args))


class TextGroup(PlainGroup):
    """A group that gets its own options as typed; its commands decide themselves."""

    def get_params(self, *args: Any) -> list[Any]:
        """Return the parameters, which now leave values alone."""
        return _leave_as_typed(super().get_params(*args))


def _leave_as_typed(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        parameter.process_value = partial(_as_typed, parameter)
    return parameters


def _as_typed(parameter: Any, context: typer.Context, value: Any) -> Any:
    """Take the place of the parameter's own ``process_value``."""
    if parameter.callback is None:
        return value
    return parameter.callback(context, parameter, value)

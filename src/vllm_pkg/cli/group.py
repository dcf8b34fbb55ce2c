"""
Groups of commands, whose help is plain text.

Typer can draw it with rich. Importing that takes as long as all the rest of
``vllm-pkg --help``, and boxes are in the way of a pipe and of a screen reader.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class PlainGroup(TyperGroup):
    """A group whose help shows the whole first sentence of each command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """
        Write the list of commands; Typer's own cuts what is over one line.

        Args:
            ctx: Its own context.
            formatter: Takes the lines; Typer exports neither of these types.
        """
        commands = [(name, self.get_command(ctx, name)) for name in self.commands]
        rows = [
            (name, (command.help or "").partition("\n\n")[0].replace("\n", " "))
            for name, command in commands
            if command is not None and not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def make_group(purpose: str) -> typer.Typer:
    """
    Make a group of commands.

    Args:
        purpose: What it is for, as one sentence.
    """
    return typer.Typer(
        cls=PlainGroup, help=purpose, no_args_is_help=True, rich_markup_mode=None
    )

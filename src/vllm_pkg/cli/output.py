"""How commands speak: one JSON document, or text for people; errors on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from vllm_pkg.errors import OutputFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vllm_pkg.errors import ServiceError

JSON_FLAG = "--json"
JsonOption = Annotated[
    bool, typer.Option(JSON_FLAG, help="Print one JSON document and nothing else.")
]
AlwaysJsonOption = Annotated[
    bool, typer.Option(JSON_FLAG, help="Errors as JSON too; the output always is.")
]
ErrorsJsonOption = Annotated[
    bool, typer.Option(JSON_FLAG, help="Print an error as JSON; the rest is text.")
]


def print_json(document: Any) -> None:
    """Print one JSON document."""
    print_text(json.dumps(document, indent=2, ensure_ascii=False))


def print_json_line(document: Any) -> None:
    """Print one JSON document of many, on a line of its own."""
    print_text(json.dumps(document, ensure_ascii=False))


def print_text(text: str = "", *, end: str = "\n") -> None:
    """
    Print a line for people.

    Raises:
        OutputFailed: it cannot be written, as to a file on a full disk.
    """
    with writing():
        print(text, end=end, flush=True)  # noqa: T201


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """
    Print a table; on a terminal it is fitted to its width.

    Raises:
        OutputFailed: it cannot be written.
    """
    from rich import box  # noqa: PLC0415  # rich is slow to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        # Piped into a file or a filter, nothing may be cut or wrapped.
        console = Console(width=1000, soft_wrap=True)
    with writing():
        console.print(table)


def print_error(error: ServiceError, *, as_json: bool) -> None:
    """Print an error on stderr: one line, or the one JSON shape."""
    if as_json:
        text = json.dumps(error.as_json(), ensure_ascii=False)
    else:
        text = f"error: {_one_line(error.message)}; {_one_line(error.hint)}"
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        # Where nobody can be told, the exit code still tells.
        _discard(sys.stderr)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """
    Turn a failure to write to the standard output into its error.

    Raises:
        OutputFailed: it cannot be written, as to a file on a full disk.
    """
    try:
        yield
    except BrokenPipeError:
        # The reader is gone, as in `vllm-pkg logs | head`: Typer ends the program.
        raise
    except OSError as error:
        _discard(sys.stdout)
        reason = os.strerror(error.errno or 0)
        raise OutputFailed(f"cannot write the output: {reason}") from error


def _discard(stream: TextIO) -> None:
    # What is still in its buffer would fail again when the program ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _one_line(text: str) -> str:
    return " ".join(text.split())

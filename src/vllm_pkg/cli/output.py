"""How commands speak: one JSON document, or text for people; errors on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_pkg.errors import ServiceError

JSON_FLAG = "--json"
JsonOption = Annotated[
    bool, typer.Option(JSON_FLAG, help="Print one JSON document and nothing else.")
]


def print_json(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201


def print_text(text: str = "") -> None:
    """Print a line for people."""
    print(text, flush=True)  # noqa: T201


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; on a terminal it is fitted to its width."""
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
    console.print(table)


def print_error(error: ServiceError, *, as_json: bool) -> None:
    """Print an error on stderr: one line, or the one JSON shape."""
    if as_json:
        text = json.dumps(error.as_json(), ensure_ascii=False)
    else:
        text = f"error: {_one_line(error.message)}; {_one_line(error.hint)}"
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _one_line(text: str) -> str:
    return " ".join(text.split())

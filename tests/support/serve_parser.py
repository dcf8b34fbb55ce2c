"""
vLLM's own parser of ``vllm serve``, in one long-lived process that reads JSON lines.

As a program without arguments it answers requests on stdin, one line each, with one
line each: ``{"parse": [[str]], "watch": [str]}`` with one outcome per argument list,
``{"table": true}`` with the table of options. With a path as argument it writes that
table there, which is what ``make options`` does. Importing vLLM takes ten seconds, and
parsing one list some milliseconds. As a module it imports nothing of vLLM.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NUMBERS = ("int", "float", "human_readable_int", "human_readable_int_or_auto")
KINDS = {
    "loads": "json",
    "parse_dataclass": "json",
    "union_dict_and_str": "json-or-text",
} | dict.fromkeys(NUMBERS, "number")
VALUES = {None: "one", 0: "none", "?": "optional", "+": "several"}


@dataclass(frozen=True)
class Outcome:
    """
    What vLLM's parser made of one argument list.

    Args:
        exit_code: With which it ended the program; None: it did not.
        error: What it said then.
        values: Per watched destination, its value as Python writes it.
    """

    exit_code: int | None
    error: str
    values: dict[str, str]


class ServeParser:
    """The process; a context manager that starts and ends it."""

    def __enter__(self):
        # Not under coverage: it runs nothing of ours, and would be five times slower.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**kept, "VLLM_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"},
        )
        return self

    def __exit__(self, *_):
        self._process.communicate()

    def parse(self, commands: list[list[str]], watch: list[str]) -> list[Outcome]:
        """
        Parse argument lists.

        Args:
            commands: What stands after ``vllm serve``, one list per question.
            watch: Destinations whose values are wanted.
        """
        answers = self._ask({"parse": commands, "watch": watch})
        return [Outcome(**answer) for answer in answers]

    def table(self) -> dict[str, Any]:
        """Return the table of options of the installed version."""
        table: dict[str, Any] = self._ask({"table": True})
        return table

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            message = f"vLLM's parser ended with {self._process.wait()}"
            raise RuntimeError(message)
        return json.loads(line)


def render_table(table: dict[str, Any]) -> str:
    """Return the text of the table's file, one option per line."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in table["options"])
    about, version = json.dumps(table["generated"]), json.dumps(table["vllm"])
    return (
        f'{{\n  "generated": {about},\n  "vllm": {version},\n'
        f'  "options": [\n{rows}\n  ]\n}}\n'
    )


def _kind(action: Any) -> str:
    """Return what an option's value is, from the innermost function that reads it."""
    reader = action.type
    while reader is not None and getattr(reader, "__closure__", None):
        inner = [cell.cell_contents for cell in reader.__closure__]
        found = [item for item in inner if callable(item)]
        if not found or reader.__name__ not in {"_optional_type", "_parse_type"}:
            break
        reader = found[0]
    kind = KINDS.get(getattr(reader, "__name__", ""), "text")
    # Lists are read as JSON too, but a dotted name makes an object.
    return "text" if kind == "json" and isinstance(action.default, list) else kind


def _make_table(serve_parser: Any) -> dict[str, Any]:
    import vllm

    return {
        "generated": "by `make options` out of vLLM's own parser; do not edit",
        "vllm": vllm.__version__.partition("+")[0],
        "options": [
            {
                "names": sorted(action.option_strings, key=_by_importance),
                "values": VALUES[action.nargs],
                "kind": _kind(action),
            }
            for action in serve_parser._actions
            if action.option_strings
        ],
    }


def _by_importance(name: str) -> tuple[bool, bool]:
    return not name.startswith("--"), name.startswith("--no-")


def _parse(parser: Any, arguments: list[str], watch: list[str]) -> Outcome:
    if "--omni" in arguments:
        # vLLM's main looks for this before any parsing (entrypoints/cli/main.py).
        return Outcome(0, "another program was started", {})
    said = io.StringIO()
    try:
        with (
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            parsed = parser.parse_args(["serve", *arguments])
    except SystemExit as ended:
        lines = said.getvalue().strip().splitlines() or [""]
        return Outcome(int(ended.code or 0), lines[-1], {})
    except Exception as error:  # noqa: BLE001  # whatever it is ends the program
        return Outcome(1, f"{type(error).__name__}: {error}", {})
    missing = "not set"
    return Outcome(
        None, "", {name: repr(getattr(parsed, name, missing)) for name in watch}
    )


def _main() -> None:
    # Libraries print to stdout while they are imported.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    # As vLLM's main makes it (entrypoints/cli/main.py).
    parser = FlexibleArgumentParser(prog="vllm")
    parser.add_argument("-v", "--version", action="version", version="0")
    subparsers = parser.add_subparsers(required=False, dest="subparser")
    serve_parser = ServeSubcommand().subparser_init(subparsers)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(render_table(_make_table(serve_parser)))
        return
    for line in sys.stdin:
        question = json.loads(line)
        answer: Any
        if "table" in question:
            answer = _make_table(serve_parser)
        else:
            watch = question["watch"]
            answer = [
                vars(_parse(parser, arguments, watch))
                for arguments in question["parse"]
            ]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main()

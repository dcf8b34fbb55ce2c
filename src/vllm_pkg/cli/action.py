"""``vllm-pkg action``: the action protocol, as StartOS's UI and the portal speak it."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated, Any

import typer

from vllm_pkg.cli.completion import complete_action
from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import AlwaysJsonOption, JsonOption, print_json, print_table
from vllm_pkg.errors import InvalidArgument

app = make_group("What can be done with the service.")
ActionId = Annotated[
    str,
    typer.Argument(
        help="Id of the action.", metavar="ID", autocompletion=complete_action
    ),
]


@app.callback()
def group() -> None:
    """What can be done with the service."""


@app.command("list")
def list_all(*, json: JsonOption = False) -> None:
    """List the actions."""
    from vllm_pkg.actions import registry  # noqa: PLC0415

    actions = registry.list_actions(_context())
    if json:
        print_json(actions)
        return
    rows = [
        (item["id"], item["name"], item["description"])
        for item in actions
        if item["visibility"] != "hidden"
    ]
    print_table(("Action", "Name", "What it does"), rows)


@app.command("input")
def show_input(action_id: ActionId, *, _json: AlwaysJsonOption = False) -> None:
    """Print an action's form as it opens now: its spec and the value to begin with."""
    from vllm_pkg.actions import registry  # noqa: PLC0415

    print_json(registry.action_input(_context(), action_id).as_json())


@app.command("run")
def run_one(
    action_id: ActionId,
    *,
    input_text: Annotated[
        str | None,
        typer.Option("--input", help='The form\'s value as JSON; "-": from stdin.'),
    ] = None,
    no_restart: Annotated[
        bool,
        typer.Option("--no-restart", help="Leave a running engine as it is."),
    ] = False,
    no_prepare: Annotated[
        bool,
        typer.Option(
            "--no-prepare",
            help="Restart at once, without preparing a new model while the old serves.",
        ),
    ] = False,
    _json: AlwaysJsonOption = False,
) -> None:
    """Run an action and print its result; the engine is restarted when needed."""
    from vllm_pkg.service.acting import act  # noqa: PLC0415

    result = act(
        current_settings(),
        action_id,
        _parse(input_text),
        is_immediate=no_prepare,
        may_restart=not no_restart,
    )
    print_json(result.as_json())


def _context() -> Any:
    from vllm_pkg.service.acting import action_context  # noqa: PLC0415

    return action_context(current_settings())


def _parse(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json_module.loads(sys.stdin.read() if text == "-" else text)
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    except ValueError as error:
        problem = str(error)
    except RecursionError:
        problem = "it is nested too deeply"
    raise InvalidArgument(
        f"--input is not JSON: {problem}",
        hint="give a JSON object such as '{\"a\": 1}'",
    )

"""``vllm-pkg key``: the API key."""

from __future__ import annotations

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JsonOption, print_json, print_text
from vllm_pkg.errors import ConfigError
from vllm_pkg.state.credentials import API_KEY, load_key

app = typer.Typer(help="The API key.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The API key."""


@app.command("show")
def show_key(*, json: JsonOption = False) -> None:
    """Print the API key."""
    key = load_key(current_settings())
    if key is None:
        raise ConfigError(
            "there is no API key yet", hint="make one: vllm-pkg init --kind install"
        )
    if json:
        print_json({API_KEY: key})
    else:
        print_text(key)

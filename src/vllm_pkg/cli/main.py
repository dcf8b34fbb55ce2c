"""
The program ``vllm-pkg``: its command groups, and how errors end it.

Command modules are cheap to import: what is heavy is imported inside the command.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from vllm_pkg import __version__
from vllm_pkg.cli import (
    action,
    backup,
    hardware,
    key,
    logs,
    model,
    portal,
    preset,
    service,
    support,
    switch,
)
from vllm_pkg.cli.output import JSON_FLAG, print_error, print_text
from vllm_pkg.cli.typed_text import TextGroup
from vllm_pkg.errors import ServiceError, UsageError

DEBUG_ENV = "VLLM_PKG_DEBUG"
EXIT_INTERRUPTED = 130

# Typer carries its own copy of click since 0.20-odd and used the package before: the
# base of all errors that concern the command line is found through what it exports.
_COMMAND_LINE_ERROR = typer.BadParameter.__mro__[2]
# One of them, whose message is the help of a group that was called without a command.
_NO_COMMAND = "NoArgsIsHelpError"

app = typer.Typer(
    name="vllm-pkg",
    cls=TextGroup,
    help="A private, OpenAI-compatible LLM service around vLLM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
service.register(app)
logs.register(app)
hardware.register(app)
app.add_typer(action.app, name="action")
app.add_typer(preset.app, name="preset")
app.add_typer(model.app, name="model")
app.add_typer(key.app, name="key")
app.add_typer(portal.app, name="portal")
app.add_typer(backup.app, name="backup")
switch.register(app)
support.register(app)


def _print_version(value: bool) -> None:  # noqa: FBT001  # Typer's callback shape
    if value:
        print_text(f"vllm-pkg {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """A private, OpenAI-compatible LLM service around vLLM."""


def run() -> NoReturn:
    """Run the program: the entry point of ``vllm-pkg`` and ``python -m vllm_pkg``."""
    # For all that this program starts too: logs and caches of the engine are private.
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """
    Run one command line.

    Args:
        arguments: Without the program's name.
    Returns:
        The exit code. Errors were printed on stderr, one line each.
    """
    as_json = JSON_FLAG in arguments
    try:
        code = app(args=arguments, prog_name="vllm-pkg", standalone_mode=False)
    except ServiceError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  # nobody shall see a traceback
        return _report_unexpected(error, as_json=as_json)
    return code if isinstance(code, int) else 0


def _report_unexpected(error: Exception, *, as_json: bool) -> int:
    if isinstance(error, _COMMAND_LINE_ERROR):
        message = error.format_message()  # type: ignore[attr-defined]
        if type(error).__name__ == _NO_COMMAND:
            print_text(message)
            return UsageError.exit_code
        usage = UsageError(message.rstrip("."), hint=_help_hint(error))
        print_error(usage, as_json=as_json)
        return usage.exit_code
    if os.environ.get(DEBUG_ENV):
        raise error
    name = type(error).__name__
    print_error(
        ServiceError(
            f"this should not have happened: {name}: {error}",
            hint=f"report it, with what {DEBUG_ENV}=1 shows",
        ),
        as_json=as_json,
    )
    return ServiceError.exit_code


def _help_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", None) or "vllm-pkg"
    return f"see {path} --help"

"""``vllm-pkg model fit``: whether a model runs here, before it is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JsonOption, print_json, print_text

if TYPE_CHECKING:
    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.settings import Settings

EXIT_RUNS = 0
EXIT_DOES_NOT_RUN = 1
# As for errors that may pass: the Hub may answer later.
EXIT_UNKNOWN = 75


def register(app: typer.Typer) -> None:
    """Add the command to a group."""
    app.command("fit")(fit_model)


def fit_model(
    model: Annotated[
        str,
        typer.Argument(help="A preset, or such as org/name.", metavar="MODEL"),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Arguments of vllm serve, after --.", metavar="[-- ARGS]"),
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Say whether a model runs here, before a byte of it is downloaded."""
    from vllm_pkg.engine.fit_check import assess_serving  # noqa: PLC0415
    from vllm_pkg.hardware.detect import detect_hardware  # noqa: PLC0415
    from vllm_pkg.models.sizing.wording import as_json, describe  # noqa: PLC0415

    settings = current_settings()
    hardware = detect_hardware(settings)
    serve_args = (*_serve_args(settings, hardware, model), *(arguments or ()))
    assessment = assess_serving(settings, hardware, serve_args)
    if json:
        print_json(as_json(assessment))
    else:
        print_text("\n".join(describe(assessment)))
    raise typer.Exit(_exit_code(assessment.verdict.value))


def _serve_args(settings: Settings, hardware: Hardware, model: str) -> tuple[str, ...]:
    """Return the arguments of a preset on this machine, or the model alone."""
    from vllm_pkg.models.fit import force_preset  # noqa: PLC0415
    from vllm_pkg.models.local import find_places  # noqa: PLC0415
    from vllm_pkg.models.presets import load_presets  # noqa: PLC0415

    for preset in load_presets():
        if preset.id == model:
            return force_preset(preset, hardware, find_places(settings)).serve_args
    return (model,)


def _exit_code(verdict: str) -> int:
    if verdict == "runs":
        return EXIT_RUNS
    return EXIT_UNKNOWN if verdict == "unknown" else EXIT_DOES_NOT_RUN

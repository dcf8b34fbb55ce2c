"""``vllm-pkg preset``: the curated models."""

from __future__ import annotations

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import JsonOption, print_json, print_table

app = make_group("The curated models.")


@app.callback()
def group() -> None:
    """The curated models."""


@app.command("list")
def list_presets(*, json: JsonOption = False) -> None:
    """List every preset, whether it fits this machine, and if not why."""
    from vllm_pkg.actions.set_model import fit_all  # noqa: PLC0415

    fits = fit_all(current_settings())
    if json:
        print_json(
            [
                {
                    "id": fit.preset.id,
                    "name": fit.preset.name,
                    "task": fit.preset.task,
                    "fits": fit.reason is None,
                    "reason": fit.reason,
                    "serveArgs": list(fit.serve_args),
                }
                for fit in fits
            ]
        )
        return
    rows = [(fit.preset.id, fit.preset.name, fit.reason or "fits") for fit in fits]
    print_table(("Preset", "Model", "On this machine"), rows)

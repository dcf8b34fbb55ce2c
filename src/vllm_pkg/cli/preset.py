"""``vllm-pkg preset``: the curated models."""

from __future__ import annotations

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.group import make_group
from vllm_pkg.cli.output import JsonOption, print_json, print_table, print_text

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
    shown = [fit.reason or "fits" for fit in fits]
    if len(set(shown)) == 1 and fits[0].reason:
        # The machine's own reason, the same for all: said once.
        print_text(f"No preset is offered: {fits[0].reason}.")
        shown = ["not offered"] * len(fits)
    rows = [
        (fit.preset.id, fit.preset.name, text)
        for fit, text in zip(fits, shown, strict=True)
    ]
    print_table(("Preset", "Model", "On this machine"), rows)

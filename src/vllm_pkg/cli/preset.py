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
    from vllm_pkg.service.fits import presets_json  # noqa: PLC0415

    presets = presets_json(current_settings())
    if json:
        print_json(presets)
        return
    shown = [preset["reason"] or "fits" for preset in presets]
    if len(set(shown)) == 1 and presets[0]["reason"]:
        # The machine's own reason, the same for all: said once.
        print_text(f"No preset is offered: {presets[0]['reason']}.")
        shown = ["not offered"] * len(presets)
    rows = [
        (preset["id"], preset["name"], text)
        for preset, text in zip(presets, shown, strict=True)
    ]
    print_table(("Preset", "Model", "On this machine"), rows)

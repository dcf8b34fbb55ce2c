"""``vllm-pkg hardware``: what this machine is."""

from __future__ import annotations

import typer  # noqa: TC002  # Typer reads annotations at run time

from vllm_pkg.cli.context import current_settings
from vllm_pkg.cli.output import JsonOption, print_json, print_table, print_text


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("hardware")(show_hardware)


def show_hardware(*, json: JsonOption = False) -> None:
    """Show GPUs, memory and the tier that decides which presets are offered."""
    from vllm_pkg.hardware.detect import detect_hardware  # noqa: PLC0415

    hardware = detect_hardware(current_settings())
    if json:
        print_json(hardware.as_json())
        return
    print_text(f"Tier:    {hardware.tier or 'none'}")
    print_text(f"Memory:  {hardware.memory_gib:.1f} GiB for models")
    print_text(f"System:  {hardware.system_memory_gib:.1f} GiB")
    print_text(f"Source:  {hardware.source}")
    if hardware.gpus:
        rows = [
            (
                str(gpu.index),
                gpu.name,
                gpu.compute_capability,
                "shared" if gpu.memory_gib is None else f"{gpu.memory_gib:.1f}",
            )
            for gpu in hardware.gpus
        ]
        print_table(("GPU", "Name", "Capability", "GiB"), rows)
    for note in hardware.notes:
        print_text(f"Note: {note}")

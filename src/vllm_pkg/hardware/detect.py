"""Finding out what this machine is, or what the recorded one was."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from vllm_pkg.hardware.amd import probe_amd
from vllm_pkg.hardware.cpu import has_amx
from vllm_pkg.hardware.memory import read_system_memory
from vllm_pkg.hardware.nvml import probe_nvidia
from vllm_pkg.hardware.probe import ROOT
from vllm_pkg.hardware.recorded import read_recording
from vllm_pkg.hardware.tiers import classify
from vllm_pkg.settings_table import Variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm_pkg.hardware.facts import Gpu, Hardware, Vendor
    from vllm_pkg.hardware.probe import Probe
    from vllm_pkg.settings import Settings

ENGINE_DISTRIBUTION: Final = "vllm"
RECORDED: Final = "recorded"
SYSTEM: Final = "proc"
# Which library each engine's GPUs are read through, and how the source is called.
_PROBES: Final[dict[Variant, tuple[str, Callable[[Path], Probe]]]] = {
    Variant.NVIDIA: ("nvml", probe_nvidia),
    Variant.ROCM: ("amdsmi", probe_amd),
}


def installed_variant() -> Variant | None:
    """
    Return for which accelerator the installed engine was built.

    Returns:
        None when no engine is installed here, or its version does not tell: vLLM's
        wheels for NVIDIA carry no local version.
    """
    try:
        local = version(ENGINE_DISTRIBUTION).partition("+")[2]
    except PackageNotFoundError:
        return None
    for variant in (Variant.CPU, Variant.ROCM):
        if local.startswith(variant.value):
            return variant
    return None


def detect_hardware(
    settings: Settings,
    *,
    root: Path = ROOT,
    installed: Callable[[], Variant | None] = installed_variant,
) -> Hardware:
    """
    Find out what the machine is.

    Nothing is kept between calls: a driver that failed a moment ago is asked again.

    Args:
        settings: Which engine is installed, and a recorded machine if there is one.
        root: Where ``proc`` and ``sys`` are.
        installed: Tells which engine is installed when the settings do not; a recorded
            machine is not asked, since its engine is not the one here.
    Returns:
        The machine, with what could not be used or read in its notes.
    Raises:
        SettingsInvalid: the recorded machine cannot be understood.
    """
    if settings.hardware_file is not None:
        recording = read_recording(settings.hardware_file)
        return classify(
            recording.gpus,
            recording.system_memory_gib,
            RECORDED,
            variant=settings.variant,
            probe_failures=recording.probe_failures,
            system_free_gib=recording.system_free_gib,
        )
    return _probe_machine(settings.variant or installed(), root)


def _probe_machine(variant: Variant | None, root: Path) -> Hardware:
    memory = read_system_memory(root)
    sources: list[str] = []
    gpus: list[Gpu] = []
    unseen: list[Vendor] = []
    notes, failures = [memory.note], [memory.failure]
    for probed, (source, look) in _PROBES.items():
        if variant not in {None, probed}:
            continue
        probe = look(root)
        gpus.extend(probe.gpus)
        failures.extend(probe.failures)
        notes.extend(probe.notes)
        unseen.extend([probe.unseen] if probe.unseen else [])
        if probe.gpus:
            sources.append(probe.source or source)
        elif variant is not None:
            # Only here is it news that a vendor's driver is missing.
            notes.append(probe.reason)
    found = classify(
        gpus,
        memory.memory_gib,
        "+".join(sources) or SYSTEM,
        [note for note in notes if note is not None],
        variant=variant,
        probe_failures=[failure for failure in failures if failure is not None],
        system_free_gib=memory.free_gib,
    )
    return replace(found, unseen=tuple(unseen), has_amx=has_amx(root))

"""
Which presets a machine can run, and with which arguments. Pure: values in, values out.

Memory is compared in whole GiB, rounded to the nearest: cards report slightly less
than their nominal size (RTX 5090: 31.84 GiB, sold and listed as 32; RTX 4090: 23.99),
and floors are written in nominal sizes.

Several cards: vLLM's tensor parallelism gives every card an equal share of the weights,
so the smallest card decides, and the number of cards must divide what is split.
Source: vLLM 0.32, ModelConfig.verify_with_parallel_config (query heads), the attention
classes of models/llama.py and models/gemma4.py (key-value heads), and layers/mamba
(linear attention, state-space groups).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import PresetDoesNotFit
from vllm_pkg.hardware.facts import Tier
from vllm_pkg.hardware.tiers import computes_fp8
from vllm_pkg.models.misfit import Misfit, Obstacle
from vllm_pkg.models.presets import LOCAL, TEMPLATES, Task, load_presets

if TYPE_CHECKING:
    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.local import Places
    from vllm_pkg.models.presets import Configuration, ContextStep, Preset
    from vllm_pkg.state.store import EnvironmentVariable

BYTES_PER_MIB: Final = 1024 * 1024
CHAT_TEMPLATE: Final = "--chat-template"
TIER_NAMES: Final = {
    Tier.NVIDIA_BLACKWELL: "NVIDIA Blackwell GPUs",
    Tier.NVIDIA_HOPPER: "NVIDIA Hopper GPUs",
    Tier.NVIDIA_OLDER: "NVIDIA GPUs older than Hopper",
    Tier.AMD: "AMD GPUs",
    Tier.CPU: "machines that serve from the CPU",
}


@dataclass(frozen=True)
class PresetFit:
    """
    Whether a preset fits a machine, and what is served if so.

    Args:
        preset: The preset.
        misfit: Why it does not fit; None when it fits.
        serve_args: Everything after ``vllm serve`` that the preset decides; empty when
            it does not fit.
        serve_env: Environment variables for the engine.
        memory_needed_gib: Smallest memory for it; None when the tier has no
            configuration.
        context_tokens: Context length that is served; None when it does not fit.
        tensor_parallel: Number of cards that share the model; None when it does not
            fit.
        is_estimated: Whether its files on this machine decided, and not its floor.
    """

    preset: Preset
    misfit: Misfit | None
    serve_args: tuple[str, ...] = ()
    serve_env: tuple[EnvironmentVariable, ...] = ()
    memory_needed_gib: int | None = None
    context_tokens: int | None = None
    tensor_parallel: int | None = None
    is_estimated: bool = False

    @property
    def is_fitting(self) -> bool:
        """Whether the machine can run it."""
        return self.misfit is None

    @property
    def reason(self) -> str | None:
        """Why it does not fit, in plain words; None when it fits."""
        return None if self.misfit is None else self.misfit.text


@dataclass(frozen=True)
class _Cards:
    """Equal shares of memory: how many there are, and GiB of the smallest."""

    count: int
    smallest_gib: int


def fit_preset(preset: Preset, hardware: Hardware, places: Places) -> PresetFit:
    """
    Decide whether a preset fits a machine.

    Args:
        preset: The preset.
        hardware: The machine.
        places: What the placeholders stand for.
    Returns:
        The arguments for it, or the reason why it does not fit.
    """
    configuration = preset.tiers.get(hardware.tier) if hardware.tier else None
    if configuration is None:
        return PresetFit(preset, _no_configuration(hardware))
    needed_gib = configuration.min_gib
    lacking = _lacks_fp8(configuration, hardware)
    if lacking:
        return PresetFit(preset, lacking, memory_needed_gib=needed_gib)
    cards = _cards(hardware)
    shares = _enough_cards(cards, needed_gib)
    count = next((number for number in shares if _can_split(preset, number)), None)
    if count is None:
        misfit = _too_small(preset, hardware, needed_gib, cards, shares)
        return PresetFit(preset, misfit, memory_needed_gib=needed_gib)
    return _fitting(
        preset, configuration, None, places, _Cards(count, cards.smallest_gib)
    )


def fit_presets(hardware: Hardware, places: Places) -> tuple[PresetFit, ...]:
    """Decide for every preset, in order of preference, whether it fits."""
    return tuple(fit_preset(preset, hardware, places) for preset in load_presets())


def best_fit(fits: tuple[PresetFit, ...]) -> PresetFit | None:
    """
    Return what the form chooses by itself: the first chat model that fits.

    Args:
        fits: In order of preference.
    Returns:
        None when nothing fits, apart from models that are never chosen so.
    """
    return next(
        (
            fit
            for fit in fits
            if fit.is_fitting
            and fit.preset.task is Task.CHAT
            and not fit.preset.is_never_default
        ),
        None,
    )


def force_preset(preset: Preset, hardware: Hardware, places: Places) -> PresetFit:
    """
    Return arguments for a preset, whether it fits or not.

    It is spread over as many cards as can share it, with its shortest context.

    Returns:
        The arguments; ``reason`` still says why it does not fit.
    Raises:
        PresetDoesNotFit: the preset has no configuration for this kind of machine.
    """
    fit = fit_preset(preset, hardware, places)
    configuration = preset.tiers.get(hardware.tier) if hardware.tier else None
    if configuration is None:
        what = f"{preset.name} cannot be served here: {fit.reason}"
        raise PresetDoesNotFit(what, hint=_other_preset(hardware, places))
    if fit.is_fitting:
        return fit
    cards = _cards(hardware)
    count = max(n for n in range(1, cards.count + 1) if _can_split(preset, n))
    used = _Cards(count, cards.smallest_gib)
    return _fitting(preset, configuration, fit.misfit, places, used)


def require_fit(preset: Preset, hardware: Hardware, places: Places) -> PresetFit:
    """
    Return the arguments for a preset that fits.

    Raises:
        PresetDoesNotFit: it does not fit; the message says why.
    """
    fit = fit_preset(preset, hardware, places)
    if fit.is_fitting:
        return fit
    what = f"{preset.name} does not fit: {fit.reason}"
    raise PresetDoesNotFit(what, hint=_other_preset(hardware, places))


def resolve_args(args: tuple[str, ...], places: Places) -> tuple[str, ...]:
    """
    Put the folders of this machine into a preset's arguments.

    A ``--chat-template`` whose file does not exist is left out together with its
    option: vLLM then uses the template that comes with the model.
    """
    resolved: list[str] = []
    for arg in args:
        folder, _, name = arg.partition("/")
        if folder == LOCAL:
            resolved.append(str(places.local_models / name))
        elif folder != TEMPLATES:
            resolved.append(arg)
        elif places.template_names is None or name in places.template_names:
            resolved.append(str(places.templates / name))
        elif resolved[-1:] == [CHAT_TEMPLATE]:
            resolved.pop()
    return tuple(resolved)


def _fitting(
    preset: Preset,
    configuration: Configuration,
    misfit: Misfit | None,
    places: Places,
    used: _Cards,
) -> PresetFit:
    step = _context_step(configuration, used.count * used.smallest_gib)
    args = [*resolve_args(configuration.args, places)]
    args += ["--max-model-len", str(step.context_tokens)]
    if step.kv_cache_mib is not None:
        size_bytes = step.kv_cache_mib * BYTES_PER_MIB
        args += ["--kv-cache-memory-bytes", str(size_bytes)]
    if used.count > 1:
        args += ["--tensor-parallel-size", str(used.count)]
    return PresetFit(
        preset=preset,
        misfit=misfit,
        serve_args=tuple(args),
        serve_env=configuration.env,
        memory_needed_gib=configuration.min_gib,
        context_tokens=step.context_tokens,
        tensor_parallel=used.count,
    )


def _context_step(configuration: Configuration, memory_gib: int) -> ContextStep:
    """Return the largest step within the memory; the first one if it is forced."""
    within = [s for s in configuration.context if s.memory_gib <= memory_gib]
    return within[-1] if within else configuration.context[0]


def _cards(hardware: Hardware) -> _Cards:
    sizes = [gpu.memory_gib for gpu in hardware.accelerators]
    if not sizes:
        return _Cards(1, round_gib(hardware.memory_gib))
    own = [size for size in sizes if size is not None]
    sharing = len(sizes) - len(own)
    if sharing:
        # Cards without own memory share the system's, which the total holds.
        own.append((hardware.memory_gib - sum(own)) / sharing)
    return _Cards(len(sizes), min(round_gib(size) for size in own))


def round_gib(memory_gib: float) -> int:
    """Round to the nearest GiB, halves up."""
    return int(memory_gib + 0.5)


def _enough_cards(cards: _Cards, needed_gib: int) -> range:
    """Return the numbers of cards that hold it, smallest first; empty for none."""
    if cards.smallest_gib == 0:
        return range(0)
    fewest = -(-needed_gib // cards.smallest_gib)
    return range(fewest, cards.count + 1)


def _can_split(preset: Preset, count: int) -> bool:
    return (
        preset.attention_heads % count == 0
        and all(heads % count == 0 for heads in preset.other_heads)
        # Fewer key-value heads than cards: each is copied to an equal number of cards.
        and all(heads % count == 0 or count % heads == 0 for heads in preset.kv_heads)
    )


def _other_preset(hardware: Hardware, places: Places) -> str | None:
    """Return what to do where no other preset fits; None for the usual hint."""
    if any(fit.is_fitting for fit in fit_presets(hardware, places)):
        return None
    return "no other preset fits either, see vllm-pkg hardware"


def _no_configuration(hardware: Hardware) -> Misfit:
    if hardware.tier is not None:
        machines = TIER_NAMES[hardware.tier]
        places = {"machines": machines, "tier": hardware.tier}
        return Misfit(Obstacle.NOT_OFFERED, places)
    notes = " ".join(hardware.notes).removesuffix(".")
    return Misfit(
        Obstacle.NO_HARDWARE, {"notes": notes or "no usable hardware was found"}
    )


def _lacks_fp8(configuration: Configuration, hardware: Hardware) -> Misfit | None:
    if not configuration.requires_fp8:
        return None
    for gpu in hardware.accelerators:
        if not computes_fp8(gpu.compute_capability):
            places = {"target": gpu.compute_capability, "gpu": gpu.name}
            return Misfit(Obstacle.NO_FP8, places)
    return None


def _too_small(
    preset: Preset, hardware: Hardware, needed_gib: int, cards: _Cards, shares: range
) -> Misfit:
    places: dict[str, Any] = {"needed_gib": needed_gib}
    memory_gib = round_gib(hardware.memory_gib)
    if not shares and memory_gib < needed_gib:
        places["memory_gib"] = memory_gib
        return Misfit(Obstacle.TOO_SMALL, places)
    if not shares:
        places |= {"cards": cards.count, "smallest_gib": cards.smallest_gib}
        return Misfit(Obstacle.UNEQUAL_CARDS, places)
    places |= {"counts": tuple(shares), "numbers": " or ".join(map(str, shares))}
    if all(preset.attention_heads % number for number in shares):
        places["heads"] = preset.attention_heads
        return Misfit(Obstacle.HEADS, places)
    return Misfit(Obstacle.WEIGHTS, places)

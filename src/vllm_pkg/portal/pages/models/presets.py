"""The presets as rows of a list, and the sentence above them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from babel.lists import format_list

from vllm_pkg.hardware.facts import Tier
from vllm_pkg.models.fit import best_fit
from vllm_pkg.models.misfit import Obstacle
from vllm_pkg.portal.wording import size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.fit import PresetFit
    from vllm_pkg.models.misfit import Misfit
    from vllm_pkg.portal.texts.catalogue import Texts

_GIB: Final = 1024**3


@dataclass(frozen=True)
class PresetRow:
    """
    One preset.

    Args:
        id: What Set Model calls it.
        name: For people.
        repository: Where it comes from; empty for a model of the package itself, and
            where this kind of machine has none.
        is_fitting: Whether it runs here.
        is_best: Whether it is what the form chooses by itself.
        is_selected: Whether it is selected now.
        can_download: Whether it is not whole on the disk, and comes from the Hub.
        facts: Short sentences: what it is for, its context, its size.
        reason: Why it does not fit, as a sentence; None when it fits.
    """

    id: str
    name: str
    repository: str
    is_fitting: bool
    is_best: bool
    is_selected: bool
    can_download: bool
    facts: tuple[str, ...]
    reason: str | None


def summarize(
    texts: Texts, hardware: Hardware, free_bytes: int, fits: Sequence[PresetFit]
) -> str:
    """
    Return what could run here, in one sentence.

    Args:
        texts: The language.
        hardware: The machine.
        free_bytes: Free space of the disk.
        fits: All presets.
    """
    count = sum(fit.is_fitting for fit in fits)
    free = size(texts, free_bytes)
    if hardware.tier is None:
        return texts("models.summary.nothing", free=free)
    kind = "cpu" if hardware.tier is Tier.CPU else "gpu"
    memory = size(texts, round(hardware.memory_gib * _GIB))
    return texts(
        f"models.summary.{kind}", memory=memory, free=free, count=count, total=len(fits)
    )


def preset_rows(
    texts: Texts,
    fits: Sequence[PresetFit],
    tier: Tier | None,
    selected: str | None,
    cached: Mapping[str, Mapping[str, Any]],
) -> tuple[PresetRow, ...]:
    """
    Return all presets: the best one, the others that fit, and then the rest.

    Args:
        texts: The language.
        fits: All presets, in order of preference.
        tier: The machine's.
        selected: Id of the preset that is selected; None for none.
        cached: What the cache holds, by repository.
    """
    best = best_fit(tuple(fits))
    ordered = sorted(fits, key=lambda fit: (fit is not best, not fit.is_fitting))
    return tuple(
        _row(texts, fit, tier, cached, is_best=fit is best, selected=selected)
        for fit in ordered
    )


def misfit_sentence(texts: Texts, misfit: Misfit) -> str:
    """Return why a preset does not fit, as a sentence."""
    places = dict(misfit.places)
    for name in ("needed_gib", "memory_gib", "smallest_gib", "missing_gib"):
        if name in places:
            places[name] = size(texts, places[name] * _GIB)
    if "counts" in places:
        # At least one number of cards would hold it.
        numbers = [str(number) for number in places["counts"]]
        places["numbers"] = format_list(numbers, style="or", locale=texts.locale)
    if misfit.obstacle is Obstacle.NOT_OFFERED:
        places["machines"] = texts(f"models.machines.{places['tier']}")
    return texts(f"models.misfit.{misfit.obstacle}", **places)


def _row(
    texts: Texts,
    fit: PresetFit,
    tier: Tier | None,
    cached: Mapping[str, Mapping[str, Any]],
    *,
    is_best: bool,
    selected: str | None,
) -> PresetRow:
    configuration = fit.preset.tiers.get(tier) if tier else None
    is_own = configuration is not None and configuration.local_model is not None
    repository = "" if configuration is None or is_own else configuration.model
    held = cached.get(repository)
    return PresetRow(
        id=fit.preset.id,
        name=fit.preset.name,
        repository=repository,
        is_fitting=fit.is_fitting,
        is_best=is_best,
        is_selected=fit.preset.id == selected,
        can_download=bool(repository) and (held is None or held["isPartial"]),
        facts=tuple(_facts(texts, fit, held, is_own=is_own)),
        reason=None if fit.misfit is None else misfit_sentence(texts, fit.misfit),
    )


def _facts(
    texts: Texts,
    fit: PresetFit,
    cached: Mapping[str, Any] | None,
    *,
    is_own: bool,
) -> list[str]:
    facts = [texts(f"models.task.{fit.preset.task}")]
    if fit.context_tokens is not None:
        facts.append(texts("models.facts.context", tokens=fit.context_tokens))
    if fit.memory_needed_gib is not None:
        needed = size(texts, fit.memory_needed_gib * _GIB)
        facts.append(texts("models.facts.memory", memory=needed))
    if fit.tensor_parallel is not None and fit.tensor_parallel > 1:
        facts.append(texts("models.facts.gpus", count=fit.tensor_parallel))
    if is_own:
        facts.append(texts("models.facts.own"))
    elif cached is not None:
        kind = "partial" if cached["isPartial"] else "complete"
        held = size(texts, cached["sizeBytes"])
        facts.append(texts(f"models.facts.{kind}", size=held))
    elif fit.is_fitting:
        facts.append(texts("models.facts.absent"))
    return facts

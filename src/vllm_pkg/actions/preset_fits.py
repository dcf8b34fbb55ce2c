"""
Which presets are offered on this machine: by their files where these are here.

A switch asks the estimate before it downloads anything. Where that can answer without
the network, form and list say the same; else the published floor of the preset decides.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.engine.fit_check import assess_known
from vllm_pkg.engine.own_memory import own_memory_gib
from vllm_pkg.errors import PresetDoesNotFit
from vllm_pkg.models.download.layout import RepositoryFolder
from vllm_pkg.models.download.needs import MAIN
from vllm_pkg.models.fit import fit_preset, force_preset, require_fit
from vllm_pkg.models.local import find_places, local_model_of
from vllm_pkg.models.misfit import Misfit, Obstacle
from vllm_pkg.models.presets import load_presets
from vllm_pkg.models.sizing.machine import GIB
from vllm_pkg.models.sizing.verdict import Verdict
from vllm_pkg.models.sizing.wording import remedy_text

if TYPE_CHECKING:
    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.fit import PresetFit
    from vllm_pkg.models.presets import Preset
    from vllm_pkg.models.sizing.verdict import Decision
    from vllm_pkg.settings import Settings

# The floors that are about memory alone; what else stands in the way no estimate moves.
_OF_MEMORY: Final = frozenset({Obstacle.TOO_SMALL, Obstacle.UNEQUAL_CARDS})


class PresetFits:
    """
    Decides for presets whether they fit a machine.

    Args:
        settings: Where the cache is.
        hardware: The machine.
    """

    def __init__(self, settings: Settings, hardware: Hardware) -> None:
        self._settings = settings
        self._hardware = hardware
        self._places = find_places(settings)

    def all(self) -> tuple[PresetFit, ...]:
        """Decide for every preset, in order of preference."""
        return tuple(self.decide(preset) for preset in load_presets())

    def decide(self, preset: Preset) -> PresetFit:
        """Decide for one; ``is_estimated`` says whether its files did."""
        fit = fit_preset(preset, self._hardware, self._places)
        if fit.misfit is not None and fit.misfit.obstacle not in _OF_MEMORY:
            return fit
        asked = force_preset(preset, self._hardware, self._places)
        if not self._has_files(asked.serve_args[0]):
            return fit
        decision = assess_known(
            self._settings,
            self._hardware,
            asked.serve_args,
            asked.serve_env,
            self._returned_gib,
        )
        if decision is None:
            return fit
        misfit = _misfit(decision)
        if misfit is None:
            return replace(asked, misfit=None, is_estimated=True)
        return replace(fit, misfit=misfit, is_estimated=True)

    def require(self, preset: Preset) -> PresetFit:
        """
        Return a preset that fits.

        Raises:
            PresetDoesNotFit: it does not fit; the message says why.
        """
        fit = self.decide(preset)
        if not fit.is_estimated:
            return require_fit(preset, self._hardware, self._places)
        if fit.is_fitting:
            return fit
        raise PresetDoesNotFit(
            f"{preset.name} does not fit: {fit.reason}",
            hint=f"see vllm-pkg model fit {preset.id}",
        )

    def _has_files(self, model: str) -> bool:
        # The package's own models run wherever their floor is met.
        if local_model_of(self._settings, model) is not None:
            return False
        folder = RepositoryFolder(self._settings.models_dir, model)
        return folder.commit_of(MAIN) is not None

    @functools.cached_property
    def _returned_gib(self) -> tuple[float, ...]:
        # Looks through all processes; most forms have no preset that needs it.
        return own_memory_gib(self._settings, self._hardware)


def _misfit(decision: Decision) -> Misfit | None:
    """Return what an estimate has against a preset as it is, or None."""
    if decision.verdict is Verdict.RUNS:
        return None
    if decision.remedies:
        change = remedy_text(decision.remedies[0])
        return Misfit(Obstacle.NEEDS_CHANGE, {"change": change})
    missing_gib = round(decision.shortfall_bytes / GIB, 1)
    return Misfit(Obstacle.ESTIMATED_SHORT, {"missing_gib": missing_gib})

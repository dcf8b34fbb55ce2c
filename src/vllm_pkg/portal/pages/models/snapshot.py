"""What the page shows, read at one moment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.actions.preset_fits import PresetFits
from vllm_pkg.errors import ServiceError, as_sentence
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.service.cached_models import cache_json
from vllm_pkg.service.disk import disk_json
from vllm_pkg.service.downloads import list_downloads
from vllm_pkg.service.jobs import Kind, list_jobs
from vllm_pkg.state.store import observe_store

if TYPE_CHECKING:
    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.fit import PresetFit
    from vllm_pkg.service.jobs import Job
    from vllm_pkg.settings import Settings

_GOING_ON: Final = frozenset({"running", "stalled"})


@dataclass(frozen=True)
class Activity:
    """
    Downloads and checks.

    Args:
        downloads: As documents, those that run first, then the newest.
        checks: The newest first.
    """

    downloads: tuple[dict[str, Any], ...] = ()
    checks: tuple[Job, ...] = ()

    @property
    def running(self) -> frozenset[str]:
        """The ids of what goes on."""
        downloads = {
            item["id"] for item in self.downloads if item["state"] in _GOING_ON
        }
        return frozenset(downloads | {job.id for job in self.checks if job.is_running})


@dataclass(frozen=True)
class Snapshot:
    """
    What is known of models.

    Args:
        hardware: The machine.
        fits: All presets.
        selected: Id of the preset that is selected; None for none.
        models: What the cache holds, as documents.
        total_bytes: Size of the disk with the cache.
        free_bytes: What of it is free.
        activity: What goes on, and what came of it.
        problems: What could not be read, as sentences.
    """

    hardware: Hardware
    fits: tuple[PresetFit, ...]
    selected: str | None
    models: list[dict[str, Any]]
    total_bytes: int
    free_bytes: int
    activity: Activity
    problems: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is said below the first line: problems, and why nothing can run."""
        is_useless = self.hardware.tier is None
        return (*self.problems, *(self.hardware.notes if is_useless else ()))


def look(settings: Settings) -> Snapshot:
    """
    Look at the machine, the cache and what is going on.

    What cannot be read is told among the problems, and the rest is shown.

    Raises:
        SettingsInvalid: the recorded machine cannot be understood.
    """
    hardware = detect_hardware(settings)
    problems = []
    selected, models = None, []
    try:
        selection = observe_store(settings).selection
        selected = selection.selection if selection else None
        models = cache_json(settings)["models"]
    except ServiceError as error:
        problems = [as_sentence(error.message), as_sentence(error.hint)]
    disk = disk_json(settings.models_dir)
    return Snapshot(
        hardware=hardware,
        fits=PresetFits(settings, hardware).all(),
        selected=selected,
        models=models,
        total_bytes=disk["totalBytes"],
        free_bytes=disk["freeBytes"],
        activity=look_at_activity(settings),
        problems=tuple(problems),
    )


def look_at_activity(settings: Settings) -> Activity:
    """Look at what goes on; downloads that cannot be read are told elsewhere."""
    downloads: list[dict[str, Any]] = []
    with suppress(ServiceError):
        downloads = list_downloads(settings)
    return Activity(tuple(downloads), list_jobs(settings, Kind.VERIFY))

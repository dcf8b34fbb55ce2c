"""The members of a support bundle, each by itself: one that fails stops no other."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.health.history import read_history
from vllm_pkg.health.probe import check_all
from vllm_pkg.service import status
from vllm_pkg.service.support import machine
from vllm_pkg.service.support.logs import find_logs, read_ends
from vllm_pkg.service.support.redaction import HIDDEN, is_harmless
from vllm_pkg.settings_table import SETTINGS
from vllm_pkg.state import documents
from vllm_pkg.state.credentials import observe_key
from vllm_pkg.state.secrets import observe_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from vllm_pkg.service.support.redaction import Redactor
    from vllm_pkg.settings import Settings

FILES_MAX: Final = 500
_ENGINE_PREFIXES: Final = (
    *("VLLM_", "HF_", "HUGGING", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "HSA_"),
    *("NCCL_", "TORCH", "PYTORCH_", "OMP_", "TRITON_"),
)


@dataclass(frozen=True)
class Section:
    """
    One member of the bundle.

    Args:
        name: Its name in the bundle.
        make: Makes its text without secrets; whatever it raises is told in the bundle.
    """

    name: str
    make: Callable[[], str]


def sections(
    settings: Settings, environ: Mapping[str, str], redactor: Redactor
) -> Iterator[Section]:
    """Yield every member of a bundle, the small ones first."""
    made: dict[str, Callable[[], Any]] = {
        "versions.json": machine.versions,
        "settings.json": partial(_settings, settings, environ),
        "status.json": partial(status.collect, settings),
        "health.json": partial(_health, settings),
        "hardware.json": lambda: detect_hardware(settings).as_json(),
        "state/keys.json": partial(_keys, settings),
        "state/store.json": partial(_observe, settings.store_file),
        "state/switch.json": partial(_observe, settings.switch_file),
        "state/files.json": partial(_files, settings),
        "machine/cpus.json": machine.cpus,
        "machine/disks.json": partial(machine.disks, settings),
        "machine/memory.json": machine.memory,
        "machine/processes.json": partial(machine.own_processes, settings),
        "run/health-history.json": partial(read_history, settings),
        **{f"run/{file.name}": partial(_observe, file) for file in _records(settings)},
    }
    for name, make in made.items():
        yield Section(name, partial(_as_text, make, redactor))
    for name, file, head_bytes in find_logs(settings):
        yield Section(name, partial(_log, file, head_bytes, redactor))


def _as_text(make: Callable[[], Any], redactor: Redactor) -> str:
    document = redactor.document(make())
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def _log(file: Path, head_bytes: int, redactor: Redactor) -> str:
    return redactor.text(read_ends(file, head_bytes))


def _settings(settings: Settings, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what is in force, and which variables of the environment are set."""
    own = {row.env for row in SETTINGS}
    shown = {
        name: value if name in own or is_harmless(name, value) else HIDDEN
        for name, value in sorted(environ.items())
        if name in own or name.startswith(_ENGINE_PREFIXES)
    }
    return {"inForce": vars(settings), "environment": shown}


def _health(settings: Settings) -> list[dict[str, Any]]:
    return [health.as_json() for health in check_all(settings)]


def _keys(settings: Settings) -> dict[str, Any]:
    """Return how many secrets there are, and nothing of them."""
    secrets = observe_secrets(settings)
    now = datetime.now(UTC)
    return {
        "hasPrimaryKey": observe_key(settings) is not None,
        "namedKeys": len(secrets.keys),
        "activeNamedKeys": sum(key.is_active(now) for key in secrets.keys),
        "hasHubToken": bool(secrets.hugging_face_token),
    }


def _observe(file: Path) -> dict[str, Any] | None:
    return documents.observe_object(file)


def _records(settings: Settings) -> tuple[Path, ...]:
    return (
        *(settings.start_file, settings.failure_file, settings.start_history_file),
        *(settings.estimates_file, settings.progress_file, settings.host_file),
        *(settings.switch_progress_file, settings.fetcher_file, settings.uses_file),
    )


def _files(settings: Settings) -> list[dict[str, Any]]:
    """Return which files there are, with sizes and modes, and none of their content."""
    found = []
    for place, root in (("main", settings.main), ("public", settings.public)):
        for folder, folders, names in os.walk(root):
            # Weights and caches are many and tell little here.
            folders[:] = sorted(set(folders) - {"models", "cache", "local-models"})
            for name in sorted(names):
                path = os.path.join(folder, name)  # noqa: PTH118  # of os.walk
                found.append(_file(place, os.path.relpath(path, root), path))
    return found[:FILES_MAX]


def _file(place: str, name: str, path: str) -> dict[str, Any]:
    try:
        status_of = os.lstat(path)
    except OSError as error:
        return {"file": f"{place}/{name}", "error": error.strerror}
    changed = datetime.fromtimestamp(status_of.st_mtime, UTC)
    return {
        "file": f"{place}/{name}",
        "sizeBytes": status_of.st_size,
        "mode": stat.filemode(status_of.st_mode),
        "changed": changed.isoformat(timespec="seconds"),
    }

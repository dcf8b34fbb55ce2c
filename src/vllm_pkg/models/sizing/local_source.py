"""Reading a model's files on this machine: in a folder, or in the cache when whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.models.download.layout import RepositoryFolder, size_of
from vllm_pkg.models.download.listing import parse_index
from vllm_pkg.models.download.needs import MAIN, Need
from vllm_pkg.models.download.selection import choose_weights, index_file
from vllm_pkg.models.quiet_open import quiet_stream, read_quietly
from vllm_pkg.models.sizing.checkpoint import Checkpoint, Origin
from vllm_pkg.models.sizing.tensors import LENGTH_BYTES, header_bytes, parse_header
from vllm_pkg.models.sizing.unknown import NotKnown

if TYPE_CHECKING:
    from vllm_pkg.models.sizing.tensors import Tensor
    from vllm_pkg.settings import Settings

CONFIG: Final = "config.json"
SAFETENSORS: Final = ".safetensors"


def read_local(
    settings: Settings, model: str, revision: str | None = None
) -> Checkpoint | None:
    """
    Read a model that is on this machine.

    Args:
        settings: Where the cache is.
        model: A folder or a repository.
        revision: A branch, tag or commit of the repository.
    Returns:
        What is known of it; None when it is a repository that is not whole here.
    Raises:
        NotKnown: it is a folder and no model can be read there.
    """
    if model.startswith(("/", "./", "../", "~")):
        return _read_folder(Path(model).expanduser())
    repository = RepositoryFolder(settings.models_dir, model)
    commit = repository.commit_of(revision or MAIN)
    if commit is None:
        return None
    try:
        return _read(repository.snapshot(commit), Origin.CACHE)
    except NotKnown:
        # A download that did not end: the Hub knows the rest.
        return None


def parse_config(data: bytes) -> dict[str, Any]:
    """
    Understand a ``config.json``.

    Raises:
        NotKnown: it is no JSON object.
    """
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotKnown("its config.json is damaged") from error
    if not isinstance(config, dict):
        raise NotKnown("its config.json is damaged")
    return config


def _read_folder(folder: Path) -> Checkpoint:
    if not folder.is_dir():
        raise NotKnown(
            f"there is no folder {folder}",
            hint="models that the package makes itself appear at their first start",
        )
    return _read(folder, Origin.FOLDER)


def _read(folder: Path, origin: Origin) -> Checkpoint:
    try:
        config = parse_config(read_quietly(folder / CONFIG))
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise NotKnown(f"{folder}: {error.strerror}") from error
    need = Need(str(folder))
    index = index_file(names, need)
    # An index may name files that have not arrived.
    indexed = None if index is None else parse_index(read_quietly(folder / index))
    weights = choose_weights(names, need, indexed)
    sizes = {name: size_of(folder / name) for name in {*weights, *(indexed or ())}}
    if not sizes or None in sizes.values():
        raise NotKnown(f"{folder} has no weights, or not all of them")
    stored = sum(size for size in sizes.values() if size is not None)
    tensors = None
    if all(name.endswith(SAFETENSORS) for name in weights):
        tensors = tuple(
            tensor for name in weights for tensor in _read_header(folder / name)
        )
    return Checkpoint(origin, config, stored, tensors)


def _read_header(path: Path) -> tuple[Tensor, ...]:
    with quiet_stream(path) as file:
        length = header_bytes(file.read(LENGTH_BYTES))
        return parse_header(file.read(length))

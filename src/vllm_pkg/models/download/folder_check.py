"""Whether the weights of a model folder are whole, as far as a look at it can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vllm_pkg.errors import ModelFolderDamaged
from vllm_pkg.models.download.hashing import header_problem
from vllm_pkg.models.download.listing import parse_index
from vllm_pkg.models.download.selection import choose_weights, index_file
from vllm_pkg.models.quiet_open import read_quietly

if TYPE_CHECKING:
    from pathlib import Path

    from vllm_pkg.models.download.needs import Need

SAFETENSORS: Final = ".safetensors"


def check_folder(folder: Path, need: Need) -> None:
    """
    Check that the weights in a folder are all there and as long as their headers say.

    A folder without weights is not judged: some ways to load need none.

    Args:
        folder: The model's folder; nobody has listed what belongs there but its index.
        need: What of it the engine loads.
    Raises:
        ModelFolderDamaged: a file of weights is missing or damaged.
    """
    try:
        names = {path.name for path in folder.iterdir()}
        index = index_file(names, need)
        indexed = None if index is None else parse_index(read_quietly(folder / index))
    except OSError as error:
        what = f"{folder} cannot be read: {error.strerror}"
        raise ModelFolderDamaged(what) from error
    missing = sorted(set(indexed or ()) - names)
    if missing:
        raise ModelFolderDamaged(f"{folder} lacks {missing[0]}, which its index names")
    for name in choose_weights(names, need, indexed):
        if not name.endswith(SAFETENSORS):
            continue
        problem = header_problem(folder / name)
        if problem is not None:
            raise ModelFolderDamaged(f"{folder / name} is damaged: {problem}")

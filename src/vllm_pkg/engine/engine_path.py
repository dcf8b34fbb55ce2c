"""
Letting an engine that runs under a Python of its own import this package.

Its search path gets a folder that holds a link to this package and nothing else: all of
our environment on it would replace the engine's own libraries by ours.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vllm_pkg.errors import StateWriteFailed
from vllm_pkg.state import atomic

if TYPE_CHECKING:
    from vllm_pkg.settings import Settings

PACKAGE = Path(__file__).parents[1]


def is_own_program(program: str) -> bool:
    """Whether a program belongs to the environment that this package runs in."""
    return Path(program).parent == Path(sys.executable).parent


def link_package(settings: Settings) -> None:
    """
    Make the folder with the link, or correct it; an update may have moved the package.

    Raises:
        StateWriteFailed: it cannot be made.
    """
    folder = settings.engine_path_dir
    atomic.make_folder(folder)
    link = folder / PACKAGE.name
    try:
        if link.is_symlink() and link.readlink() == PACKAGE:
            return
        link.unlink(missing_ok=True)
        link.symlink_to(PACKAGE)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StateWriteFailed(f"cannot write {link}: {reason}") from error

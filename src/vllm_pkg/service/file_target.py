"""Where a command writes a file that a person has named."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from vllm_pkg.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path


def check_target(target: Path) -> None:
    """
    Refuse what is there and is no file: a rename would put a file in its place.

    Raises:
        InvalidArgument: it is a folder, a device or a pipe.
    """
    try:
        is_file = stat.S_ISREG(target.stat().st_mode)
    except OSError:
        # Not there; or not to be reached, which writing tells.
        return
    if not is_file:
        raise InvalidArgument(f"{target} is not a file", hint="name a file")

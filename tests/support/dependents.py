"""Starting a dependent service, and reading what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from support import dependent
from support.tools import require, require_tool

if TYPE_CHECKING:
    from pathlib import Path


def look_around(folder: Path, public: Path, *options: str) -> dict[str, Any]:
    """
    Return what a dependent service sees; skip the test where nothing can be mounted.

    Args:
        folder: Where an empty folder can be made, its whole file system.
        public: The public folder.
        options: Further ones of `support.dependent`.
    """
    root = folder / "dependent"
    root.mkdir(exist_ok=True)
    done = subprocess.run(
        [
            *(require_tool("unshare"), "--mount", sys.executable),
            *(str(dependent.__file__), "--root", str(root), "--public", str(public)),
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    is_refused = any(
        text in done.stderr
        for text in ("Operation not permitted", "unshare failed", "permission denied")
    )
    require(not is_refused, "mounting is not permitted")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))

"""The disk that the service's volumes are on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def disk_json(main: Path) -> dict[str, Any]:
    """Return the disk that the main volume is on, also before it is made."""
    folder = main
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return {
        "path": str(main),
        "freeBytes": usage.free,
        "totalBytes": usage.total,
    }

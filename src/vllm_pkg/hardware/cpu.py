"""What the processor can do, as far as memory depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_TILES: Final = "amx_tile"


def has_amx(root: Path) -> bool:
    """
    Whether the processor has AMX, with which vLLM lays out latent attention otherwise.

    Args:
        root: Where ``proc`` is.
    """
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return _TILES in text.split()

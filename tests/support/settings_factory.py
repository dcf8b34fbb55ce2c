"""Settings over folders of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_pkg.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def make_settings(folder: Path, **variables: str) -> Settings:
    """Return standalone settings with both volumes under *folder*."""
    environment = {
        "VLLM_PKG_MAIN": str(folder / "main"),
        "VLLM_PKG_PUBLIC": str(folder / "public"),
        "HOME": str(folder),
    }
    return load_settings(environment | variables)

"""
What is known about AMD's graphics targets, as data.

A target such as ``gfx942`` names a family of AMD GPUs as its compiler knows it. The
lists hold for vLLM 0.32. A target that no list names is not used: the engine's image
carries no code for it.
"""

from __future__ import annotations

from typing import Final

# Source: PYTORCH_ROCM_ARCH of vLLM's docker/Dockerfile.rocm_base and its installation
# page; gfx1150 and gfx1151 stand there too and are integrated, see below.
ENGINE_TARGETS: Final = (
    "gfx90a",  # MI210, MI250
    "gfx942",  # MI300, MI325
    "gfx950",  # MI350, MI355
    "gfx1100",  # RX 7900, PRO W7900
    "gfx1101",  # RX 7800, RX 7700
    "gfx1200",  # RX 9060
    "gfx1201",  # RX 9070, AI PRO R9700
)

# Source: the table of processors in LLVM's AMDGPU backend guide, those of kind APU.
# The driver gives such a GPU's small carve-out as its memory, not what it can use.
INTEGRATED_TARGETS: Final = frozenset(
    {
        "gfx801",
        "gfx810",
        "gfx902",
        "gfx909",
        "gfx90c",
        "gfx1013",
        "gfx1033",
        "gfx1035",
        "gfx1036",
        "gfx1103",
        "gfx1150",
        "gfx1151",
        "gfx1152",
        "gfx1153",
    }
)

# CDNA 3 and newer, and RDNA 4; CDNA 2 and RDNA 3 have no FP8 matrix instructions.
FP8_TARGETS: Final = frozenset({"gfx942", "gfx950", "gfx1200", "gfx1201"})

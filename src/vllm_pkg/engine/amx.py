"""
What the engine's processes need on a CPU with AMX, as a plugin of vLLM.

vLLM 0.32 computes attention in bfloat16 with the tiles of AMX. Linux ends a process
that uses them without having asked (SIGILL). Usually oneDNN has asked by then, for a
matrix product of several tokens. When the very first request has a prompt of one token,
nobody has, and the engine dies. vLLM calls its plugins in each of its processes, before
any of that. Source: Linux, Documentation/arch/x86/xstate.rst; seen with vLLM 0.32.
"""

from __future__ import annotations

import ctypes
import platform
from typing import Final

_ARCH_PRCTL: Final = 158
_REQUEST_PERMISSION: Final = 0x1023
_TILE_DATA: Final = 18


def request_permission() -> bool:
    """
    Ask Linux for the tiles, for this process and what it forks.

    Returns:
        Whether they may be used now; without AMX, or on another system, they may not.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return False
    system = ctypes.CDLL(None)
    request = (ctypes.c_long(_ARCH_PRCTL), ctypes.c_long(_REQUEST_PERMISSION))
    return int(system.syscall(*request, ctypes.c_long(_TILE_DATA))) == 0

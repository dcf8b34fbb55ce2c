"""What the kernel does for a process and its family. Source: prctl(2)."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def end_with_parent() -> bool:
    """
    Have the kernel send us SIGTERM when our parent ends; return whether it lives.

    Call it first of all: a parent that ended before cannot be told from its successor.
    """
    parent = os.getppid()
    _control_process(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == parent


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, in place of init."""
    _control_process(_PR_SET_CHILD_SUBREAPER, 1)


def _control_process(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)

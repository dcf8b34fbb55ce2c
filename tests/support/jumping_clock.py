"""
A wall clock that a test moves, for Python programs that it starts.

The kernel has one wall clock for all, so it is not the clock that is moved but what
Python is told: a module that every interpreter of the host imports at its start adds
what stands in a file. With `MUTANT` set the boot clock jumps too, as if our programs
measured durations by the wall clock.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MUTANT = "JUMPING_CLOCK_MUTANT"
DAY_S = 86_400
_FILE = "JUMPING_CLOCK_FILE"
_MODULE = f"""\
import os, time

def _moved_s(kind=time.CLOCK_REALTIME):
    moves = kind == time.CLOCK_REALTIME or (
        kind == time.CLOCK_BOOTTIME and os.environ.get({MUTANT!r})
    )
    if not moves:
        return 0
    with open(os.environ[{_FILE!r}]) as stream:
        return int(stream.read())

def _move(name, scale, *, has_kind):
    real = getattr(time, name)
    if has_kind:
        moved = lambda kind: real(kind) + scale * _moved_s(kind)
    else:
        moved = lambda: real() + scale * _moved_s()
    setattr(time, name, moved)

if os.environ.get({_FILE!r}):
    _move("time", 1, has_kind=False)
    _move("time_ns", 10**9, has_kind=False)
    _move("clock_gettime", 1, has_kind=True)
    _move("clock_gettime_ns", 10**9, has_kind=True)
"""


@dataclass(frozen=True)
class JumpingClock:
    """
    The clock.

    Args:
        folder: Of the module and of the file that moves it.
    """

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which a program sees this clock."""
        return {
            "PYTHONPATH": str(self.folder),
            _FILE: str(self.folder / "moved"),
        }

    def jump(self, seconds: int) -> None:
        """Let the wall clock be so many seconds off."""
        new = self.folder / "moved.new"
        new.write_text(str(seconds))
        os.replace(new, self.folder / "moved")  # noqa: PTH105


def make_jumping_clock(folder: Path) -> JumpingClock:
    """Write the module into *folder*, which does not exist yet."""
    folder.mkdir()
    clock = JumpingClock(folder)
    (folder / "sitecustomize.py").write_text(_MODULE)
    clock.jump(0)
    return clock

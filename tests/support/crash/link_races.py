"""
Links that appear in a cache while something is deleted from it.

`swapping` exchanges a folder and a link to a folder outside, again and again, from a
process of its own; `Swapper` does it just before a certain step, so that every moment
can be tried. Source: renameat2(2), RENAME_EXCHANGE.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from support.model_cache import ONE, TWO, add_revision, share_blob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

_AT_FDCWD: Final = -100
_EXCHANGE: Final = 2
_STEPS: Final = ("open", "stat", "listdir", "unlink", "rmdir", "replace", "readlink")
# What is exchanged, below the cache.
PLACES: Final = (
    "models--org--name",
    "models--org--name/blobs",
    "models--org--name/snapshots",
    f"models--org--name/snapshots/{TWO}",
    f"models--org--name/snapshots/{TWO}/sub",
    "models--org--name/refs",
    ".locks/models--org--name",
    ".locks",
    "blobs",
)
_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once; return whether both were there."""
    names = os.fsencode(one), os.fsencode(other)
    return not _LIBRARY.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE)


@dataclass(frozen=True)
class Trap:
    """
    A cache with a link that waits beside a folder, and what it leads to.

    Args:
        cache: The cache.
        place: The folder that is exchanged.
        link: The link that takes its place.
        outside: Where the link leads: a copy of what the folder holds, and more.
    """

    cache: Path
    place: Path
    link: Path
    outside: Path


def set_trap(folder: Path, where: str) -> Trap:
    """Make a cache with two revisions and shared content, and a trap in it."""
    cache = folder / "main" / "models"
    repository = cache / "models--org--name"
    files = {"config.json": b"{}", "m.bin": b"m" * 500}
    add_revision(repository, ONE, files, ("main",))
    own = {"config.json": b"{}", "n.bin": b"n" * 500, "sub/o.bin": b"o" * 500}
    add_revision(repository, TWO, own, ("v2",))
    share_blob(repository, b"n" * 500)
    locks = cache / ".locks" / repository.name
    locks.mkdir(parents=True)
    (locks / "etag.lock").touch()
    outside = folder / "outside"
    place = cache / where
    # The same names as inside: whatever follows the link finds what it looks for.
    shutil.copytree(place, outside, symlinks=True)
    (outside / "precious").write_text("precious")
    link = folder / "link"
    link.symlink_to(outside)
    return Trap(cache, place, link, outside)


@contextlib.contextmanager
def swapping(folder: Path, where: str) -> Iterator[None]:
    """
    Exchange folder and link all the time, in another process.

    Args:
        folder: Where traps are set one after another; between them nothing happens.
        where: Their place below the cache.
    """
    place, link = folder / "main" / "models" / where, folder / "link"
    child = os.fork()
    if child == 0:
        try:
            while os.getppid() != 1:
                exchange(place, link)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class Swapper:
    """
    Puts the link in the place of the folder just before one step.

    Args:
        trap: What is exchanged.
        at: Before which step, counted from 1; 0: never.
        is_back: Whether the folder is back before the step after.
    """

    def __init__(self, trap: Trap, at: int, *, is_back: bool) -> None:
        self.trap = trap
        self.steps = 0
        self._swaps = {at, at + 1} if is_back else {at}
        self._swaps -= {0, 1} if at == 0 else set()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Count the steps of everything in this process from now on."""
        for name in _STEPS:
            patch.setattr(os, name, self._counting(getattr(os, name)))

    def _counting(self, real: Any) -> Any:
        def step(*arguments: Any, **options: Any) -> Any:
            self.steps += 1
            if self.steps in self._swaps:
                exchange(self.trap.place, self.trap.link)
            return real(*arguments, **options)

        return step

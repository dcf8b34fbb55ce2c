"""
A tree of processes as an engine leaves it: three levels, each in a session of its own.

The innermost may ignore SIGTERM. All carry an instance's marker, and all end by
themselves after two minutes, whatever happens to the test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.waiting import wait_until
from vllm_pkg.engine.processes import MARKER
from vllm_pkg.state.identity import started_ticks

if TYPE_CHECKING:
    from pathlib import Path

_LEVEL = """\
import os, signal, subprocess, sys
signal.alarm(120)
pids, told, level, ignores = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
def note(*_):
    open(told, "w").close()
if level > 1:
    argv = [sys.executable, "-IS", __file__, pids, told, str(level - 1)]
    subprocess.Popen([*argv, ignores], start_new_session=True)
elif ignores == "yes":
    signal.signal(signal.SIGTERM, note)
with open(pids, "a") as stream:
    stream.write(f"{os.getpid()}\\n")
while True:
    signal.pause()
"""


@dataclass(frozen=True)
class ProcessTree:
    """
    A running tree.

    Args:
        pids: Its three processes.
        told: A file that exists once the one that ignores SIGTERM has been sent it.
    """

    pids: tuple[int, ...]
    told: Path

    def alive(self) -> list[int]:
        """Return the processes that still run; a zombie does not."""
        return [pid for pid in self.pids if started_ticks(pid) is not None]

    def close(self) -> None:
        """End what is left."""
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)


def start_tree(folder: Path, instance: str, *, ignores_sigterm: bool) -> ProcessTree:
    """Start a tree whose processes carry the marker of *instance*."""
    folder.mkdir()
    script = folder / "level.py"
    script.write_text(_LEVEL)
    pids = folder / "pids"
    told = folder / "told"
    ignores = "yes" if ignores_sigterm else "no"
    # The outermost is left without a parent at once, as an engine's workers are.
    level = [sys.executable, "-IS", str(script), str(pids), str(told), "3", ignores]
    subprocess.run(
        ["sh", "-c", '"$@" &', "sh", *level],
        env=os.environ | {MARKER: instance},
        check=True,
    )
    wait_until(lambda: pids.exists() and pids.read_text().count("\n") == 3, 10, "tree")
    return ProcessTree(tuple(int(pid) for pid in pids.read_text().split()), told)

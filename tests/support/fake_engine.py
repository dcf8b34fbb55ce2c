"""
A fake engine, for what a real one cannot be made to do: end as a test tells it.

Written into a test's folder as a program that stands in for Python in supervisord's
configuration: it passes everything on to the real Python, except the daemon, in whose
place it writes one line and ends with the exit code in the file named by FAKE_EXITS.
Each start takes one line of that file; when none is left, it runs until it is ended.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """\
#!{python}
import os, signal, sys
if sys.argv[1:] != ["-m", "vllm_pkg", "daemon"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
exits = {exits!r}
lines = open(exits).read().split()
print("=== vllm-pkg: engine start fake ===", flush=True)
with open({starts!r}, "a") as stream:
    stream.write("start\\n")
if not lines:
    signal.pause()
with open(exits, "w") as stream:
    stream.write("\\n".join(lines[1:]))
print(f"FakeError: told to end with {{lines[0]}}", flush=True)
if int(lines[0]) < 0:
    os.kill(os.getpid(), -int(lines[0]))
sys.exit(int(lines[0]))
"""


def write_fake_engine(folder: Path, exits: list[int]) -> Path:
    """Write the program into *folder*; `count_starts` tells how often it ran."""
    (folder / "exits").write_text("\n".join(str(code) for code in exits))
    (folder / "starts").write_text("")
    program = folder / "fake-python"
    program.write_text(
        _PROGRAM.format(
            python=sys.executable,
            exits=str(folder / "exits"),
            starts=str(folder / "starts"),
        )
    )
    program.chmod(0o755)
    return program


def count_starts(folder: Path) -> int:
    """Return how often the fake engine in *folder* was started."""
    return (folder / "starts").read_text().count("start\n")

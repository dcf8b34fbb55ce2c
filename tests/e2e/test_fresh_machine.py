"""`make run` on a machine that has nothing but Debian, Python, make and git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.service import free_port
from support.tools import require, require_tool

SCRIPT = Path(__file__).parents[2] / "scripts" / "fresh-machine"


@pytest.mark.rootfs
@pytest.mark.timeout(1800)
def test_make_run_answers_on_a_fresh_machine():
    """A clean clone in a fresh Debian installs, answers, and ends without a trace."""
    require(os.geteuid() == 0, "this needs root")
    require_tool("debootstrap")
    environment = os.environ | {"ONLY": "run", "PORT": str(free_port())}

    done = subprocess.run(
        [str(SCRIPT)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "make run answers after" in done.stdout
    assert "no process is left" in done.stdout
    assert "fresh machine: make run works" in done.stdout

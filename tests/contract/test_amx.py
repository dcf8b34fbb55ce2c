"""The engine's processes may use AMX from the beginning."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from vllm_pkg.engine import amx

# 158 is arch_prctl, 0x1022 asks which permissions there are, 18 is that for the tiles.
ASK = """
import ctypes
from vllm_pkg.engine import amx

def is_permitted():
    mask = ctypes.c_uint64()
    ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(mask))
    return bool(mask.value >> 18 & 1)

print(is_permitted(), amx.request_permission(), is_permitted())
"""


def test_the_permission_is_asked_for():
    """A new process has no permission; with AMX it has one afterwards, else none."""
    has_amx = "amx_tile" in Path("/proc/cpuinfo").read_text().split()
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["False", str(has_amx), str(has_amx)]


def test_another_system_is_left_alone(monkeypatch):
    """Where there is no such call, nothing is called."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")

    assert amx.request_permission() is False


def test_vllm_finds_the_plugin():
    """It is registered as one that vLLM calls in every process."""
    plugins = entry_points(group="vllm.general_plugins")

    assert plugins["vllm-pkg-amx"].load() is amx.request_permission

"""
What the engine gives back when it ends.

The GPUs' binding is a fake: the tests must pass without an NVIDIA GPU. Processes are
real ones.
"""

# ruff: noqa: N802, D102  # the fake has the names of NVML

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from support.settings_factory import make_settings
from support.sizing_cases import cpu_hardware, gpu_hardware
from vllm_pkg.engine.own_memory import own_memory_gib
from vllm_pkg.engine.processes import MARKER, instance_id
from vllm_pkg.hardware.facts import Gpu, Hardware, Tier, Vendor

GIB = 1024**3
# Holds 64 MiB of its own and says when it does.
HOLDING = "held = bytearray(b'x' * 2**26); print(flush=True); input()"


@contextmanager
def engine(settings):
    """Run a process that counts as this instance's engine; yield its pid."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING],
        env=os.environ | {MARKER: instance_id(settings.main)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@dataclass
class FakeNvml:
    """
    A fake of the binding ``pynvml``.

    Args:
        running: For each GPU, pids and bytes; None: the GPU is lost.
        is_silent: Whether there is no driver.
    """

    running: list[list[tuple[int, int | None]] | None]
    is_silent: bool = False
    NVMLError: type[Exception] = field(default=pynvml.NVMLError)

    def nvmlInit(self) -> None:
        if self.is_silent:
            raise pynvml.NVMLError_DriverNotLoaded

    def nvmlShutdown(self) -> None:
        raise pynvml.NVMLError_Unknown

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        if self.running[index] is None:
            raise pynvml.NVMLError_GpuIsLost
        return self.running[index]

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in handle]


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """An instance of its own."""
    return make_settings(tmp_path)


def test_without_an_engine_nothing_comes_back(settings):
    """An instance that does not run holds nothing."""
    assert own_memory_gib(settings, cpu_hardware()) == ()


def test_main_memory_of_the_engine_comes_back(settings):
    """On the CPU it is what the engine's processes have for themselves."""
    with engine(settings):
        (held_gib,) = own_memory_gib(settings, cpu_hardware())

    assert 64 / 1024 < held_gib < 0.5


def test_a_recorded_machine_is_another_one(tmp_path):
    """What runs here holds nothing of a machine that is only written down."""
    file = tmp_path / "machine.json"
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(file))

    with engine(settings):
        assert own_memory_gib(settings, cpu_hardware()) == ()


def test_memory_of_each_gpu_comes_back(settings, monkeypatch):
    """Only what our processes hold counts; a GPU that is lost gives nothing."""
    with engine(settings) as pid:
        running = [[(pid, 20 * GIB), (1, 3 * GIB), (pid, None)], None]
        nvml = FakeNvml(running)
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        found = own_memory_gib(settings, gpu_hardware(24.0, 24.0))

    assert found == (20.0, 0.0)


def test_without_a_driver_nothing_is_known(settings, monkeypatch):
    """A driver that does not answer is told elsewhere."""
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([], is_silent=True))

    with engine(settings):
        assert own_memory_gib(settings, gpu_hardware(24.0)) == ()


def test_what_amds_driver_does_not_tell_is_not_guessed(settings):
    """Its library tells memory per GPU, not per process: nothing is said to return."""
    gpu = Gpu(Vendor.AMD, 0, "An AMD GPU", "gfx942", 192.0)
    hardware = Hardware(Tier.AMD, 192.0, 64.0, (gpu,), "test", ())

    with engine(settings):
        assert hardware.accelerators == (gpu,)
        assert own_memory_gib(settings, hardware) == ()

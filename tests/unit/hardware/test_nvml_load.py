"""What NVIDIA GPUs do at the moment, through a binding that answers as NVML does."""

# ruff: noqa: N802  # the names are NVML's

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

from vllm_pkg.hardware.nvml_load import GpuLoad, read_loads


class _Error(Exception):
    pass


@dataclass
class Binding:
    """NVML with two GPUs, of which some calls fail."""

    failing: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    NVMLError: type[Exception] = _Error
    NVML_TEMPERATURE_GPU: int = 0

    def _answer(self, name, value):
        self.calls.append(name)
        if name in self.failing:
            raise _Error(name)
        return value

    def nvmlInit(self):
        """Begin."""
        self._answer("init", None)

    def nvmlShutdown(self):
        """End."""
        self._answer("shutdown", None)

    def nvmlDeviceGetCount(self):
        """Two GPUs."""
        return self._answer("count", 2)

    def nvmlDeviceGetHandleByIndex(self, index):
        """A GPU."""
        return self._answer("handle", index)

    def nvmlDeviceGetUtilizationRates(self, handle):
        """How busy it is."""
        return self._answer("rates", SimpleNamespace(gpu=50 + handle))

    def nvmlDeviceGetTemperature(self, handle, sensor):
        """How warm it is."""
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._answer("temperature", 60 + handle)

    def nvmlDeviceGetPowerUsage(self, handle):
        """What it draws, in milliwatts."""
        return self._answer("power", 300_500 + handle * 1000)


def test_every_gpu_tells_its_load():
    """Percent, degrees and watts, by index; the library is closed again."""
    binding = Binding()

    assert read_loads(binding) == {0: GpuLoad(50, 60, 300.5), 1: GpuLoad(51, 61, 301.5)}
    assert binding.calls[-1] == "shutdown"


def test_what_a_gpu_does_not_tell_is_unknown():
    """A GPU split by MIG has no load, and some have no sensor for power."""
    loads = read_loads(Binding(failing={"rates", "power"}))

    assert loads[0] == GpuLoad(None, 60, None)


def test_a_driver_that_does_not_answer_is_no_error():
    """Then nothing is known of any GPU."""
    assert read_loads(Binding(failing={"init"})) == {}
    assert read_loads(Binding(failing={"count"})) == {}

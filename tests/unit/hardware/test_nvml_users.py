"""Who has memory of NVIDIA GPUs."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psutil

from vllm_pkg.hardware.nvml_users import GpuUser, read_gpu_users

# No process has it: it is above the highest number that the kernel gives.
NOBODY = 2**22 + 1


class FakeError(Exception):
    """What the binding raises."""


class FakeNvml:
    """NVML over GPUs of the test; a GPU is a list of processes, or an error."""

    NVMLError: type[Exception] = FakeError

    def __init__(self, *gpus, init_error=None, count_error=None):
        self.gpus, self.init_error, self.count_error = gpus, init_error, count_error
        self.is_open = False

    def nvmlInit(self):  # noqa: N802
        """Open, or fail."""
        if self.init_error:
            raise self.init_error
        self.is_open = True

    def nvmlShutdown(self):  # noqa: N802
        """Close."""
        self.is_open = False

    def nvmlDeviceGetCount(self):  # noqa: N802
        """Return how many there are, or fail."""
        if self.count_error:
            raise self.count_error
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        """Return what stands for a GPU."""
        return self.gpus[index]

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        """Return its processes, or fail."""
        if isinstance(handle, FakeError):
            raise handle
        return handle


def _process(pid, used):
    return SimpleNamespace(pid=pid, usedGpuMemory=used)


def test_processes_are_named_where_they_can_be_seen():
    """A process of this machine has its name, one of the host outside has none."""
    nvml = FakeNvml([_process(os.getpid(), 5), _process(NOBODY, None)], [])

    found = read_gpu_users(nvml)

    own = psutil.Process().name()
    assert found == {
        0: (GpuUser(os.getpid(), own, 5), GpuUser(NOBODY, "", None)),
        1: (),
    }
    assert not nvml.is_open


def test_a_gpu_that_does_not_answer_has_nobody():
    """The others are told all the same."""
    found = read_gpu_users(FakeNvml(FakeError("split"), [_process(NOBODY, 1)]))

    assert found == {0: (), 1: (GpuUser(NOBODY, "", 1),)}


def test_a_driver_that_does_not_answer_is_no_error():
    """Nobody is told about then, and NVML is closed if it was opened."""
    broken = FakeNvml([], count_error=FakeError("lost"))

    assert read_gpu_users(FakeNvml([], init_error=FakeError("no driver"))) == {}
    assert read_gpu_users(broken) == {}
    assert not broken.is_open


def test_the_installed_binding_is_asked_by_default():
    """Without a driver, as in CI, it answers that there is nobody."""
    assert isinstance(read_gpu_users(), dict)

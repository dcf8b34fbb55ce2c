"""
Waiting for the memory of GPUs.

The binding is a fake: the tests must pass without an NVIDIA GPU. The errors are real.
"""

# ruff: noqa: N802, D102  # the fake has the names of NVML

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from support.fake_clock import FakeClock
from support.settings_factory import make_settings
from vllm_pkg.engine.exit_report import report_exit
from vllm_pkg.engine.gpu_memory import (
    STEADY_S,
    GpuMemory,
    Holder,
    Wait,
    describe_holders,
    judge_looks,
    process_name,
    wait_for_memory,
)

GIB = 1024**3


@dataclass
class FakeNvml:
    """
    A fake of the binding ``pynvml``, with two GPUs of which the second is silent.

    Args:
        looks: Used bytes and processes, one entry per look; the last one stays.
        init: What ``nvmlInit`` raises.
    """

    looks: list[Any]
    init: Exception | None = None
    taken: int = 0
    shutdowns: int = 0
    NVMLError: type[Exception] = field(default=pynvml.NVMLError)

    def nvmlInit(self) -> None:
        if self.init is not None:
            raise self.init

    def nvmlShutdown(self) -> None:
        self.shutdowns += 1

    def nvmlDeviceGetCount(self) -> int:
        look = self.looks[min(self.taken, len(self.looks) - 1)]
        if isinstance(look, Exception):
            raise look
        self.taken += 1
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        if index == 1:
            raise pynvml.NVMLError_GpuIsLost
        return self.looks[min(self.taken, len(self.looks)) - 1]

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:
        return SimpleNamespace(used=handle[0])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:
        return [
            SimpleNamespace(pid=pid, usedGpuMemory=size_bytes)
            for pid, size_bytes in handle[1]
        ]


@pytest.fixture(name="wait")
def wait_fixture(tmp_path, monkeypatch):
    """Wait over a fake binding and a fake clock; return the lines and the seconds."""

    def wait(nvml, ended, **variables):
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        clock = FakeClock()

        def sleep(seconds: float) -> None:
            clock.seconds += seconds

        settings = make_settings(tmp_path, **variables)
        lines = wait_for_memory(settings, ended, clock, sleep)
        return lines, clock.seconds - 1000.0

    return wait


def test_it_waits_until_the_ended_process_is_gone_from_the_gpu(wait):
    """The driver lists it for two looks more; the start waits for memory to settle."""
    held = (70 * GIB, [(77, 70 * GIB)])
    nvml = FakeNvml([held, held, held, (GIB, [])])

    (line,), waited_s = wait(nvml, {77})

    assert waited_s == 2.0
    assert line == (
        "Waited 2.0 s for the GPU memory of an earlier engine: no ended process is"
        " listed any more (70.0 GiB in use before, 1.0 GiB now)."
    )
    assert nvml.shutdowns == 1


def test_it_waits_while_memory_is_given_back(wait):
    """In a container ids do not match: then memory that falls is waited for."""
    sizes = [70, 70, 70, 40, 10, 1, 1]
    nvml = FakeNvml([(size * GIB, []) for size in sizes])

    (line,), waited_s = wait(nvml, {77})

    assert waited_s == 3.0
    assert "it has fallen (70.0 GiB in use before, 1.0 GiB now)" in line


def test_memory_that_does_not_fall_is_waited_for_a_while(wait):
    """Ids do not match and nothing is freed: it may be another program's."""
    nvml = FakeNvml([(70 * GIB, [])])

    (line,), waited_s = wait(nvml, {77})

    assert waited_s == STEADY_S
    assert line.startswith("Waited 5.0 s for the GPU memory of an earlier engine: it")
    assert "it stayed as it was" in line


def test_it_does_not_wait_for_ever(wait):
    """After 15 s the start goes on and says who holds the memory."""
    nvml = FakeNvml([(70 * GIB, [(77, 70 * GIB)])])

    lines, waited_s = wait(nvml, {77})

    assert waited_s == 15.0
    assert lines[0].startswith("Waited 15.0 s")
    assert "an ended process is still listed" in lines[0]
    assert lines[1].startswith("GPU memory is held by process 77 (")
    assert lines[1].endswith("): 70.0 GiB")


def test_a_stranger_is_named_and_not_waited_for(wait):
    """Memory of other programs is told at once; it is no failure."""
    own = os.getpid()
    nvml = FakeNvml([(9 * GIB, [(own, 8 * GIB), (5, None), (6, GIB // 10)])])

    lines, waited_s = wait(nvml, ())

    assert waited_s == 0.0
    assert len(lines) == 2
    assert lines[0] == (
        f"GPU memory is held by process {own} ({process_name(own)}): 8.0 GiB"
    )
    assert lines[1].endswith("): unknown size")


@pytest.mark.parametrize(
    "nvml",
    [
        FakeNvml([], init=pynvml.NVMLError_LibraryNotFound()),
        FakeNvml([pynvml.NVMLError_Unknown()]),
    ],
    ids=["no driver", "driver in trouble"],
)
def test_without_a_driver_nothing_is_waited_for(wait, nvml):
    """No driver, or one that does not answer, delays no start."""
    assert wait(nvml, {77}) == ((), 0.0)


@pytest.mark.parametrize(
    "variables", [{"VLLM_PKG_VARIANT": "cpu"}, {"VLLM_PKG_HARDWARE": "/recorded"}]
)
def test_other_engines_do_not_ask(wait, variables):
    """The CPU engine, and a recorded machine, have no GPU to wait for."""
    nvml = FakeNvml([(70 * GIB, [(77, 70 * GIB)])])

    assert wait(nvml, {77}, **variables) == ((), 0.0)
    assert nvml.taken == 0


OURS, OTHERS = (Holder(77, 1.0),), (Holder(78, 1.0),)


@pytest.mark.parametrize(
    ("sizes", "holders", "waited_s", "expected"),
    [
        ((9, 9), ((), OURS), 1, Wait.LISTED),
        ((9, 5), (OURS, OURS), 20, Wait.LISTED),
        ((9, 5), ((), ()), 1, Wait.FALLING),
        ((9, 5), (OURS, ()), 1, Wait.FALLING),
        ((9, 7, 5), ((), (), ()), 20, Wait.FALLING),
        ((9, 5, 5), (OURS, (), ()), 1, Wait.GONE),
        ((9, 9), (OURS, OTHERS), 1, Wait.GONE),
        ((9, 9, 9), ((), OURS, ()), 1, Wait.GONE),
        ((9, 5, 5), ((), (), ()), 1, Wait.FALLEN),
        ((9, 5, 7), ((), (), ()), 1, Wait.FALLEN),
        ((9, 9), ((), ()), 0.5, Wait.UNCHANGED),
        ((9, 12), (OTHERS, OTHERS), 0.5, Wait.UNCHANGED),
        ((9, 9, 9), ((), (), ()), STEADY_S - 0.1, Wait.UNCHANGED),
        ((9, 9, 9), ((), (), ()), STEADY_S, Wait.STEADY),
        ((9, 5, 12), ((), (), ()), STEADY_S, Wait.STEADY),
    ],
)
def test_looks_are_judged(sizes, holders, waited_s, expected):
    """Two equal looks prove nothing, unless the driver had named our processes."""
    looks = [GpuMemory(*look) for look in zip(sizes, holders, strict=True)]

    assert judge_looks(looks, {77}, waited_s) is expected


def test_a_wait_is_over_when_there_is_nothing_to_wait_for():
    """Three of the reasons end the wait."""
    over = {why for why in Wait if why.is_over}

    assert over == {Wait.GONE, Wait.FALLEN, Wait.STEADY}


def test_a_process_that_cannot_be_seen_is_told_so(tmp_path):
    """In a container the holder may be a process of the host."""
    assert process_name(1, tmp_path) == "outside this container, or ended"


def test_a_start_that_fails_for_memory_names_the_holder():
    """The line in the log becomes the hint of the failure, and of no other one."""
    memory = GpuMemory(0, (Holder(5, 70.0),))
    lines = describe_holders(memory, lambda _: "python")
    no_memory = "ValueError: Free memory on device cuda:0 (1/80 GiB) is less"
    other = "ValueError: no such model"

    assert report_exit(1, [*lines, no_memory]).hint == (
        "GPU memory is held by process 5 (python): 70.0 GiB."
        " End that program, or choose a smaller model."
    )
    assert "held by" not in report_exit(1, [*lines, other]).hint
    assert "held by" not in report_exit(1, [no_memory]).hint

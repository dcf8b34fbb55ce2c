"""
NVIDIA GPUs as NVML gives them.

The errors are the real binding's own. Where an answer of a driver is needed, a fake
binding gives it, because the tests must pass without an NVIDIA GPU.
"""

# ruff: noqa: N802, D102  # the fake has the names of NVML

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pynvml
import pytest

from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.hardware.facts import Gpu, Vendor
from vllm_pkg.hardware.nvml import probe_nvidia
from vllm_pkg.hardware.probe import Probe
from vllm_pkg.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024**2
FIRST = "NVIDIA H100 80GB HBM3"


def has_library() -> bool:
    """Whether this machine has an NVIDIA driver's library."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


@dataclass
class Card:
    """What the fake driver knows of one GPU; an exception is raised, not returned."""

    name: str = FIRST
    capability: Any = (9, 0)
    memory: Any = 81559 * MIB
    used: int = 0
    mig: Any = None
    parts: list[Any] = field(default_factory=list)


class FakeNvml:
    """A fake of the binding ``pynvml``: no NVIDIA driver is here to ask."""

    def __init__(self, *cards: Any, init: Exception | None = None) -> None:
        self.cards = cards
        self.init = init
        self.shutdowns = 0

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("NVMLError"):
            raise AttributeError(name)
        return getattr(pynvml, name)

    def nvmlInit(self) -> None:
        if self.init is not None:
            raise self.init

    def nvmlShutdown(self) -> None:
        self.shutdowns += 1
        raise pynvml.NVMLError_Uninitialized

    def nvmlDeviceGetCount(self) -> int:
        if self.cards and self.cards[0] is None:
            raise pynvml.NVMLError_Unknown
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        return answer(self.cards[index])

    def nvmlDeviceGetName(self, handle: Card) -> str:
        return handle.name

    def nvmlDeviceGetMemoryInfo(self, handle: Card) -> Any:
        total = answer(handle.memory)
        return SimpleNamespace(total=total, free=total - handle.used)

    def nvmlDeviceGetCudaComputeCapability(self, handle: Card) -> tuple[int, int]:
        major, minor = answer(handle.capability)
        return major, minor

    def nvmlDeviceGetMigMode(self, handle: Card) -> list[int]:
        if handle.mig is None:
            raise pynvml.NVMLError_NotSupported
        return list(answer(handle.mig))

    def nvmlDeviceGetMaxMigDeviceCount(self, device: Card) -> int:
        return len(device.parts)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Card, index: int) -> Any:
        return answer(device.parts[index])


def answer(value: Any) -> Any:
    """Return a value, or raise it when it is an error."""
    if isinstance(value, Exception):
        raise value
    return value


def put_on_bus(root: Path, vendor: str = "0x10de", kind: str = "0x030200") -> None:
    """Put a PCI device into a machine's sysfs."""
    folder = root / "sys/bus/pci/devices/0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "class").write_text(f"{kind}\n")


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Return a function that probes with a fake binding in the real one's place."""

    def probe(fake: FakeNvml) -> Probe:
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return probe_nvidia(tmp_path)

    return probe


@pytest.mark.skipif(has_library(), reason="this machine has an NVIDIA driver")
def test_the_real_binding_without_a_driver_gives_a_reason(tmp_path):
    """Without a driver the real binding's answer is a reason, not a failure."""
    assert probe_nvidia(tmp_path) == Probe(
        reason="There is no NVIDIA driver: libnvidia-ml.so.1 is not here."
    )


@pytest.mark.skipif(has_library(), reason="this machine has an NVIDIA driver")
def test_a_gpu_without_the_drivers_library_is_a_failure(tmp_path):
    """A GPU on the bus whose driver is not here makes no CPU of its machine."""
    put_on_bus(tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:       16777216 kB\n")

    hardware = detect_hardware(
        load_settings({"HOME": "/nowhere"}), root=tmp_path, installed=lambda: None
    )

    assert hardware.tier is None
    (failure,) = hardware.probe_failures
    assert failure.startswith("This machine has an NVIDIA GPU that cannot be used")
    assert failure in hardware.notes


def test_gpus_are_read(ask):
    """Name, capability and memory of every GPU are read, and the library is closed."""
    second = Card(name="NVIDIA H200", memory=143771 * MIB, used=1024 * MIB, mig=[0, 0])
    fake = FakeNvml(Card(), second)
    assert ask(fake) == Probe(
        gpus=(
            Gpu(Vendor.NVIDIA, 0, FIRST, "9.0", 79.6474609375, 79.6474609375),
            Gpu(Vendor.NVIDIA, 1, "NVIDIA H200", "9.0", 140.4013671875, 139.4013671875),
        )
    )
    assert fake.shutdowns == 1


@pytest.mark.parametrize("memory", [pynvml.NVMLError_NotSupported(), 0])
def test_shared_memory_is_none(ask, memory):
    """A GPU whose memory the driver does not give shares the system's."""
    probe = ask(FakeNvml(Card("NVIDIA GB10", (12, 1), memory)))
    assert probe.gpus == (Gpu(Vendor.NVIDIA, 0, "NVIDIA GB10", "12.1", None),)
    assert probe.failures == ()


def test_a_lost_gpu_does_not_hide_the_others(ask):
    """A GPU that fell off the bus is told, and the one beside it is still read."""
    probe = ask(FakeNvml(pynvml.NVMLError_GpuIsLost(), Card()))
    assert [gpu.index for gpu in probe.gpus] == [1]
    assert probe.failures == ("NVIDIA GPU 0 does not answer: GPU is lost.",)


def test_a_figure_that_is_refused_is_a_failure(ask):
    """Memory that may not be read is told, and not taken for shared memory."""
    probe = ask(FakeNvml(Card(memory=pynvml.NVMLError_NoPermission())))
    assert probe.gpus == ()
    assert probe.failures == (
        "NVIDIA GPU 0 does not answer: Insufficient Permissions.",
    )


def test_of_a_split_gpu_the_first_part_counts(ask):
    """Under MIG the memory is the first part's, and a note says so."""
    parts = [pynvml.NVMLError_NotFound(), Card(memory=9856 * MIB), Card(memory=1)]
    probe = ask(FakeNvml(Card("NVIDIA A100", (8, 0), mig=[1, 1], parts=parts)))
    assert probe.gpus == (Gpu(Vendor.NVIDIA, 0, "NVIDIA A100", "8.0", 9.625, 9.625),)
    assert probe.notes == (
        "NVIDIA A100 is split by MIG; the engine uses its first MIG device only.",
    )


def test_a_split_gpu_without_parts_is_a_failure(ask):
    """A GPU that MIG splits into nothing cannot be used, and that is told."""
    probe = ask(FakeNvml(Card("NVIDIA A100", mig=[1, 1])))
    assert probe.gpus == ()
    assert "NVIDIA A100 is split by MIG and has no MIG device" in probe.failures[0]


def test_an_old_driver_without_mig_is_no_problem(ask):
    """A driver that does not know MIG gives its GPUs like any other."""
    probe = ask(FakeNvml(Card(mig=pynvml.NVMLError_FunctionNotFound())))
    assert len(probe.gpus) == 1


def test_a_driver_that_was_updated_is_a_failure(ask):
    """A library newer than the loaded driver gives a failure with its remedy."""
    probe = ask(FakeNvml(init=pynvml.NVMLError_LibRmVersionMismatch()))
    assert probe == Probe(
        failures=(
            (
                "The NVIDIA driver answered with an error: RM has detected an NVML/RM "
                "version mismatch; restart the machine, so that the driver that was "
                "installed is loaded."
            ),
        )
    )


def test_any_other_error_of_the_driver_is_a_failure(ask):
    """An error at the start or while counting is told in the driver's words."""
    told = (
        (
            "The NVIDIA driver answered with an error: Unknown Error; see whether "
            "nvidia-smi works."
        ),
    )
    assert ask(FakeNvml(init=pynvml.NVMLError_Unknown())).failures == told
    counting = FakeNvml(None)
    assert ask(counting).failures == told
    assert counting.shutdowns == 1


@pytest.mark.parametrize(
    ("fake", "reason", "failure"),
    [
        (
            FakeNvml(init=pynvml.NVMLError_DriverNotLoaded()),
            "The NVIDIA driver is installed and not loaded.",
            "The NVIDIA driver answered with an error: Driver Not Loaded",
        ),
        (
            FakeNvml(),
            "The NVIDIA driver is loaded and lists no GPU.",
            "lists no GPU, although one is on the PCI bus",
        ),
    ],
)
def test_the_bus_tells_a_missing_gpu_from_a_failing_one(
    ask, tmp_path, fake, reason, failure
):
    """A driver without GPUs is a failure only where the bus has an NVIDIA GPU."""
    assert ask(fake) == Probe(reason=reason)
    put_on_bus(tmp_path)
    probe = ask(fake)
    assert probe.reason is None
    assert failure in probe.failures[0]


@pytest.mark.parametrize(
    ("vendor", "kind"), [("0x8086", "0x030000"), ("0x10de", "0x040300")]
)
def test_only_a_gpu_of_the_vendor_counts(ask, tmp_path, vendor, kind):
    """Another vendor's GPU, or NVIDIA's sound device, is no NVIDIA GPU."""
    put_on_bus(tmp_path, vendor, kind)
    (tmp_path / "sys/bus/pci/devices/unreadable").mkdir()
    assert ask(FakeNvml()).failures == ()

"""
AMD GPUs as amdsmi gives them.

The binding is a fake: amdsmi cannot be imported without AMD's library, which only
ROCm machines have. The shapes are those of its documentation for 6.4 and 7.
"""

# ruff: noqa: D102  # the fake has the names of amdsmi

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from support.amd_machine import GFX803, GFX942, GFX1036, amd_root
from vllm_pkg.hardware.amd import probe_amd
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.hardware.facts import Gpu, Tier, Vendor
from vllm_pkg.hardware.probe import Probe
from vllm_pkg.settings import load_settings

DENIED = "Error code:\n\t10 | AMDSMI_STATUS_NO_PERM - Permission Denied"


class AmdSmiException(Exception):
    """The base of the binding's errors, under its own name."""


class FakeAmdSmi:
    """A fake of the binding ``amdsmi``: no AMD driver is here to ask."""

    AmdSmiException = AmdSmiException
    AmdSmiMemoryType = SimpleNamespace(VRAM="vram")

    def __init__(self, *cards: Any, init: str = "", listing: str = "") -> None:
        self.cards = cards
        self.init = init
        self.listing = listing
        self.used_bytes: int | None = 1024**3
        self.shutdowns = 0

    def amdsmi_init(self) -> None:
        if self.init:
            raise AmdSmiException(self.init)

    def amdsmi_shut_down(self) -> None:
        self.shutdowns += 1
        raise AmdSmiException(DENIED)

    def amdsmi_get_processor_handles(self) -> list[Any]:
        if self.listing:
            raise AmdSmiException(self.listing)
        return list(self.cards)

    def amdsmi_get_gpu_asic_info(self, processor_handle: Any) -> dict[str, Any]:
        if processor_handle is None:
            raise AmdSmiException(DENIED)
        name, target, _ = processor_handle
        return {"market_name": name, "target_graphics_version": target}

    def amdsmi_get_gpu_memory_total(self, processor_handle: Any, mem_type: Any) -> int:
        assert mem_type == "vram"
        size_bytes: int = processor_handle[2]
        return size_bytes

    def amdsmi_get_gpu_memory_usage(self, processor_handle: Any, mem_type: Any) -> int:
        assert (processor_handle in self.cards, mem_type) == (True, "vram")
        if self.used_bytes is None:
            raise AmdSmiException(DENIED)
        return self.used_bytes


@pytest.fixture
def root(tmp_path):
    """Return the root of a machine whose amdgpu driver is loaded."""
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def ask(monkeypatch, root):
    """Return a function that probes with a fake binding."""

    def probe(fake: FakeAmdSmi) -> Probe:
        monkeypatch.setitem(sys.modules, "amdsmi", fake)
        return probe_amd(root)

    return probe


def test_gpus_are_read(ask):
    """Name, graphics target and memory are read, and the library is closed."""
    fake = FakeAmdSmi(
        ("AMD Instinct MI300X", "gfx942", 206141652992),
        ("AMD Instinct MI210", "gfx90a", 68702699520),
    )
    assert ask(fake) == Probe(
        gpus=(
            Gpu(Vendor.AMD, 0, "AMD Instinct MI300X", "gfx942", 191.984375, 190.984375),
            Gpu(Vendor.AMD, 1, "AMD Instinct MI210", "gfx90a", 63.984375, 62.984375),
        )
    )
    assert fake.shutdowns == 1


def test_a_gpu_that_hides_its_usage_is_still_read(ask):
    """When the driver does not say what is used, the free memory is not known."""
    fake = FakeAmdSmi(("MI300X", "gfx942", 1024**3))
    fake.used_bytes = None
    (gpu,) = ask(fake).gpus
    assert (gpu.memory_gib, gpu.free_gib) == (1.0, None)


@pytest.mark.parametrize("target", ["gfxffffffffffffffff", "N/A", ""])
def test_a_target_that_is_not_known_is_empty(ask, target):
    """The binding's ways to say that it knows no target give an empty one."""
    assert ask(FakeAmdSmi(("X", target, 1024**3))).gpus[0].compute_capability == ""


def test_a_gpu_that_fails_does_not_hide_the_others(ask):
    """A GPU that does not answer is told, and the one beside it is still read."""
    probe = ask(FakeAmdSmi(None, ("MI300X", "gfx942", 1024**3)))
    assert [gpu.index for gpu in probe.gpus] == [1]
    assert probe.failures == (
        (
            "AMD GPU 0 does not answer: Error code: 10 | AMDSMI_STATUS_NO_PERM - "
            "Permission Denied."
        ),
    )


def test_an_error_of_the_driver_is_a_failure(ask):
    """An error at the start or while listing is told on one line."""
    told = (
        (
            "The AMD driver answered with an error: Error code: 10 | "
            "AMDSMI_STATUS_NO_PERM - Permission Denied; see whether amd-smi works."
        ),
    )
    assert ask(FakeAmdSmi(init=DENIED)).failures == told
    listing = FakeAmdSmi(listing=DENIED)
    assert ask(listing).failures == told
    assert listing.shutdowns == 1


def test_no_gpu_is_a_reason(ask):
    """A driver that lists no GPU is a reason, not a failure."""
    assert ask(FakeAmdSmi()) == Probe(reason="AMD's driver is loaded and lists no GPU.")


def test_without_the_driver_the_binding_is_not_asked(tmp_path, monkeypatch):
    """Where amdgpu is not loaded, not even a working binding is asked."""
    fake = FakeAmdSmi(("MI300X", "gfx942", 1024**3))
    monkeypatch.setitem(sys.modules, "amdsmi", fake)
    assert probe_amd(tmp_path) == Probe(
        reason="There is no AMD driver: amdgpu is not loaded."
    )


def test_without_the_binding_the_user_is_told(root, monkeypatch):
    """A loaded driver without the binding is no failure, and a note says it."""
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    probe = probe_amd(root)
    assert (probe.failures, probe.unseen) == ((), Vendor.AMD)
    assert "amdsmi is not installed" in probe.notes[0]
    assert "vLLM's container image for ROCm is the way" in probe.notes[0]


@pytest.mark.parametrize(
    ("version", "tier", "is_container_told"),
    [
        (GFX942, Tier.AMD, True),
        (GFX1036, Tier.CPU, False),
        (GFX803, None, False),
    ],
    ids=["discrete", "integrated", "old"],
)
def test_without_the_binding_the_kernel_tells(
    tmp_path, monkeypatch, version, tier, is_container_told
):
    """The kernel's list decides the tier as the binding's would, and a note says so."""
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    root = amd_root(tmp_path / "machine", version)

    hardware = detect_hardware(
        load_settings({"HOME": "/nowhere"}), root=root, installed=lambda: None
    )

    assert (hardware.tier, hardware.unseen) == (tier, ())
    assert hardware.source == "kfd"
    assert hardware.gpus[0].memory_gib == 192.0
    (told,) = [note for note in hardware.notes if "amdsmi is not installed" in note]
    assert ("container image for ROCm" in told) is is_container_told


def test_a_binding_without_its_library_stays_silent(
    root, tmp_path, monkeypatch, capsys
):
    """A binding that prints and breaks on import leaves stdout to its caller."""
    (tmp_path / "amdsmi.py").write_text(
        "print('libamd_smi.so: cannot open')\n{}['libamd_smi.so']\n"
    )
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "amdsmi is not installed" in (probe_amd(root).reason or "")
    assert capsys.readouterr().out == ""

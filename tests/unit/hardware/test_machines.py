"""Every recorded machine gives the tier, memory and explanation that it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.settings import load_settings

MACHINES = Path(__file__).parents[2] / "data" / "hardware"

# Slug, tier, memory in GiB, number of GPUs that count, words that a note must have.
TABLE = [
    ("rtx-3090", "nvidia-older", 24.0, 1, None),
    ("rtx-3090-x2", "nvidia-older", 48.0, 2, None),
    ("rtx-4090", "nvidia-older", 23.99, 1, None),
    ("rtx-5090", "nvidia-blackwell", 31.84, 1, None),
    ("a100-80gb", "nvidia-older", 80.0, 1, None),
    ("h100", "nvidia-hopper", 79.65, 1, None),
    ("h100-x8", "nvidia-hopper", 637.18, 8, None),
    ("h200", "nvidia-hopper", 140.4, 1, None),
    ("b200", "nvidia-blackwell", 179.06, 1, None),
    ("gb10", "nvidia-blackwell", 119.7, 1, "NVIDIA GB10 has no memory of its own"),
    ("mi300x", "amd", 191.98, 1, None),
    ("mi210", "amd", 63.98, 1, "MI210 (gfx90a) does not compute FP8"),
    ("rx-7900-xtx", "amd", 23.98, 1, "7900 XTX (gfx1100) does not compute FP8"),
    ("ryzen-igpu", "cpu", 62.7, 0, "(gfx1036) is an integrated GPU"),
    ("gtx-1080", None, 0.0, 0, "GTX 1080 has compute capability 6.1; 8.0 is the least"),
    ("container-no-gpu", "cpu", 6.0, 0, None),
    ("nvml-failing", None, 0.0, 0, "Driver/library version mismatch; restart"),
    ("cpu-24gib", "cpu", 23.54, 0, None),
]


def replay(slug: str, **environ: str):
    """Return what is detected when a recorded machine stands in for this one."""
    path = MACHINES / f"{slug}.json"
    return detect_hardware(load_settings({"VLLM_PKG_HARDWARE": str(path), **environ}))


@pytest.mark.parametrize(("slug", "tier", "memory_gib", "count", "words"), TABLE)
def test_a_recorded_machine_is_classified(slug, tier, memory_gib, count, words):
    """A machine's tier, memory, used GPUs and notes are those of the table."""
    hardware = replay(slug)
    document = hardware.as_json()
    assert (document["tier"], document["memory_gib"]) == (tier, memory_gib)
    assert len(hardware.accelerators) == count
    assert document["source"] == "recorded"
    if words is None:
        assert document["notes"] == []
    else:
        assert any(words in note for note in document["notes"])


def test_the_table_has_every_recorded_machine():
    """No recorded machine is left out of the table, and none is only in it."""
    assert {path.stem for path in MACHINES.glob("*.json")} == {row[0] for row in TABLE}


def test_the_document_has_the_published_form():
    """The printed document has the published keys in their order, and no others."""
    assert replay("rtx-4090").as_json() == {
        "tier": "nvidia-older",
        "memory_gib": 23.99,
        "system_memory_gib": 62.7,
        "gpus": [
            {
                "vendor": "nvidia",
                "index": 0,
                "name": "NVIDIA GeForce RTX 4090",
                "compute_capability": "8.9",
                "memory_gib": 23.99,
            }
        ],
        "source": "recorded",
        "notes": [],
    }


def test_a_failed_probe_is_part_of_the_document():
    """A failed probe is printed, so that what is printed can be replayed."""
    failures = replay("nvml-failing").as_json()["probe_failures"]
    assert failures == [
        (
            "The NVIDIA driver answered with an error: Driver/library version "
            "mismatch; restart the machine, so that the driver that was installed "
            "is loaded."
        )
    ]


def test_shared_memory_is_printed_as_null():
    """A GPU without memory of its own has null there, not the system's figure."""
    assert replay("gb10").as_json()["gpus"][0]["memory_gib"] is None


@pytest.mark.parametrize("slug", ["h100", "gtx-1080", "nvml-failing", "mi300x"])
def test_the_cpu_engine_uses_no_gpu(slug):
    """With the CPU engine, no GPU and no failed driver stands in the way."""
    hardware = replay(slug, VLLM_PKG_VARIANT="cpu")
    assert hardware.tier == "cpu"
    assert hardware.memory_gib == hardware.system_memory_gib
    assert hardware.accelerators == ()
    assert "The CPU engine is installed, so GPUs are not used." in hardware.notes


def test_an_engine_for_gpus_is_not_offered_the_cpu_presets():
    """An engine built for NVIDIA, on a machine without, has no tier and says so."""
    hardware = replay("cpu-24gib", VLLM_PKG_VARIANT="nvidia")
    assert hardware.tier is None
    assert hardware.notes == (
        "The engine is built for NVIDIA GPUs, and none that it can use is here.",
    )


def test_an_engine_uses_its_own_vendor_only():
    """The ROCm engine does not use an NVIDIA GPU, and says why."""
    hardware = replay("h100", VLLM_PKG_VARIANT="rocm")
    assert hardware.tier is None
    assert (
        "NVIDIA H100 80GB HBM3 is not used: the engine is built for AMD."
        in hardware.notes
    )


def test_free_memory_survives_being_recorded(tmp_path):
    """What was free when a machine was recorded is free when it is replayed."""
    document = replay("rtx-3090").as_json()
    document["gpus"][0]["free_gib"] = 20.5
    document["system_free_gib"] = 60.25
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(document))
    hardware = detect_hardware(load_settings({"VLLM_PKG_HARDWARE": str(path)}))
    assert hardware.gpus[0].free_gib == 20.5
    assert hardware.as_json() == document

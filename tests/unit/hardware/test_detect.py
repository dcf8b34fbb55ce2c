"""Looking at a machine: who is asked, what is combined, and that nothing is kept."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pynvml
import pytest

from vllm_pkg.errors import SettingsInvalid
from vllm_pkg.hardware import detect
from vllm_pkg.hardware.detect import installed_variant
from vllm_pkg.hardware.facts import Hardware, Tier
from vllm_pkg.settings import Settings, load_settings
from vllm_pkg.settings_table import Variant

if TYPE_CHECKING:
    from pathlib import Path


def settings(**environ: str) -> Settings:
    """Return settings from an environment."""
    return load_settings({"HOME": "/nowhere", **environ})


def detect_hardware(settings: Settings, root: Path | None = None) -> Hardware:
    """Detect the hardware of a machine on which no engine is installed."""
    where = {"root": root} if root else {}
    return detect.detect_hardware(settings, installed=lambda: None, **where)


@pytest.fixture
def root(tmp_path):
    """Return the root of a machine with 16 GiB and a loaded amdgpu driver."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:       16777216 kB\n")
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def libraries(monkeypatch):
    """Return a function that fakes both bindings: neither driver is here."""

    def put(*, nvidia: int = 0, amd: int = 0, error: Exception | None = None) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(nvidia, error))
        monkeypatch.setitem(sys.modules, "amdsmi", fake_amdsmi(amd))

    return put


def fake_nvml(count: int, error: Exception | None) -> Any:
    """Return a fake binding with a number of H100."""

    def init() -> None:
        if error is not None:
            raise error

    def no_mig(_: Any) -> None:
        raise pynvml.NVMLError_NotSupported

    errors = {k: v for k, v in vars(pynvml).items() if k.startswith("NVMLError")}
    return SimpleNamespace(
        **errors,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda _: "NVIDIA H100",
        nvmlDeviceGetCudaComputeCapability=lambda _: (9, 0),
        nvmlDeviceGetMigMode=no_mig,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=80 * 1024**3, free=0),
    )


def fake_amdsmi(count: int) -> Any:
    """Return a fake binding with a number of MI300X."""
    info = {"market_name": "MI300X", "target_graphics_version": "gfx942"}
    return SimpleNamespace(
        AmdSmiException=OSError,
        AmdSmiMemoryType=SimpleNamespace(VRAM=0),
        amdsmi_init=lambda: None,
        amdsmi_shut_down=lambda: None,
        amdsmi_get_processor_handles=lambda: list(range(count)),
        amdsmi_get_gpu_asic_info=lambda _: info,
        amdsmi_get_gpu_memory_total=lambda *_: 192 * 1024**3,
        amdsmi_get_gpu_memory_usage=lambda *_: 1024**3,
    )


@pytest.mark.parametrize(
    ("variant", "here", "expected"),
    [
        ("", {"nvidia": 0, "amd": 0}, (Tier.CPU, 16.0, "proc")),
        ("", {"nvidia": 2, "amd": 0}, (Tier.NVIDIA_HOPPER, 160.0, "nvml")),
        ("", {"nvidia": 0, "amd": 1}, (Tier.AMD, 192.0, "amdsmi")),
        ("", {"nvidia": 1, "amd": 1}, (Tier.NVIDIA_HOPPER, 80.0, "nvml+amdsmi")),
        ("rocm", {"nvidia": 1, "amd": 1}, (Tier.AMD, 192.0, "amdsmi")),
        ("nvidia", {"nvidia": 1, "amd": 1}, (Tier.NVIDIA_HOPPER, 80.0, "nvml")),
        ("cpu", {"nvidia": 1, "amd": 1}, (Tier.CPU, 16.0, "proc")),
    ],
)
def test_the_engines_gpus_are_looked_at(root, libraries, variant, here, expected):
    """Each engine's own drivers are asked, and the source says which answered."""
    libraries(**here)
    found = detect_hardware(settings(VLLM_PKG_VARIANT=variant), root=root)
    assert (found.tier, found.memory_gib, found.source) == expected
    assert found.system_memory_gib == 16.0


def test_a_missing_driver_is_told_to_the_engine_that_needs_it(root, libraries):
    """The reason why there is no GPU is told where the engine needs one."""
    libraries(error=pynvml.NVMLError_LibraryNotFound())
    assert detect_hardware(settings(), root=root).notes == ()
    needed = detect_hardware(settings(VLLM_PKG_VARIANT="nvidia"), root=root)
    assert needed.tier is None
    assert needed.notes == (
        "There is no NVIDIA driver: libnvidia-ml.so.1 is not here.",
        "The engine is built for NVIDIA GPUs, and none that it can use is here.",
    )


def test_a_failed_probe_is_not_kept(root, libraries):
    """A driver that failed is asked again, and its GPU is found once it answers."""
    libraries(error=pynvml.NVMLError_Unknown())
    failed = detect_hardware(settings(), root=root)
    assert failed.tier is None
    assert failed.probe_failures == (
        (
            "The NVIDIA driver answered with an error: Unknown Error; see whether "
            "nvidia-smi works."
        ),
    )
    assert failed.notes[0] == failed.probe_failures[0]
    libraries(nvidia=1)
    assert detect_hardware(settings(), root=root).tier is Tier.NVIDIA_HOPPER


def test_a_containers_limit_is_told(root, libraries):
    """The lower limit of a container is the memory of the CPU tier, with a note."""
    libraries()
    (root / "proc/self").mkdir()
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/memory.max").write_text("6442450944\n")
    found = detect_hardware(settings(), root=root)
    assert (found.tier, found.memory_gib) == (Tier.CPU, 6.0)
    assert found.notes == (
        "This container may use 6.0 GiB of the machine's 16.0 GiB of memory.",
    )


def test_memory_that_is_not_known_offers_nothing(tmp_path, libraries):
    """Without a figure for the memory there is no tier, and the reason is told."""
    libraries()
    found = detect_hardware(settings(), root=tmp_path)
    assert found.tier is None
    assert "The system's memory is not known" in found.probe_failures[0]


def test_a_wrong_recording_is_refused(tmp_path):
    """A recorded machine that is wrong is an error, and this one is not probed."""
    path = tmp_path / "machine.json"
    path.write_text("{}")
    with pytest.raises(SettingsInvalid, match="None at gpus"):
        detect_hardware(settings(VLLM_PKG_HARDWARE=str(path)))


def test_this_machine_is_described():
    """The machine that runs the tests is described without an error."""
    document = detect_hardware(settings()).as_json()
    assert set(document) >= {"tier", "memory_gib", "gpus", "source", "notes"}


@pytest.mark.parametrize(
    ("version", "variant"),
    [
        ("0.32.0+cpu", Variant.CPU),
        ("0.32.0+rocm700", Variant.ROCM),
        ("0.32.0", None),
        ("0.32.0+cu130", None),
    ],
)
def test_the_installed_engine_tells_its_variant(monkeypatch, version, variant):
    """The local part of the engine's version tells what it was built for."""
    monkeypatch.setattr(detect, "version", lambda _: version)

    assert installed_variant() is variant


def test_no_engine_has_no_variant(monkeypatch):
    """Without an installed engine nothing is known of its kind."""
    monkeypatch.setattr(detect, "ENGINE_DISTRIBUTION", "no-such-distribution")

    assert installed_variant() is None


def test_an_installed_cpu_engine_uses_no_gpu(root, libraries):
    """With only the CPU build of the engine installed, GPUs are not counted."""
    libraries(nvidia=1)

    hardware = detect.detect_hardware(
        settings(), root=root, installed=lambda: Variant.CPU
    )

    assert hardware.tier is Tier.CPU

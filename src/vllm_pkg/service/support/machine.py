"""What a support bundle says of versions, disk, memory and our own processes."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg import __version__
from vllm_pkg.engine import processes
from vllm_pkg.engine.daemon import engine_program
from vllm_pkg.errors import EngineNotInstalled
from vllm_pkg.hosts.standalone import control
from vllm_pkg.package.manifest import load_manifest
from vllm_pkg.service.support.redaction import without_option_values

if TYPE_CHECKING:
    import psutil

    from vllm_pkg.settings import Settings

# What decides how the engine works, and what we need ourselves.
_TOLD: Final = frozenset(
    {
        *("vllm", "torch", "transformers", "triton", "flashinfer-python", "xformers"),
        *("huggingface-hub", "hf-xet", "safetensors", "tokenizers", "numpy"),
        *("nvidia-nccl-cu12", "nvidia-ml-py", "amdsmi", "ray", "pydantic", "psutil"),
        *("supervisor", "nicegui", "fastapi", "uvicorn", "typer", "rich"),
    }
)
_DRIVERS: Final = {
    "nvidia": Path("/proc/driver/nvidia/version"),
    "amdgpu": Path("/sys/module/amdgpu/version"),
}
_MEMORY_FILE: Final = Path("/proc/meminfo")


def versions() -> dict[str, Any]:
    """Return the versions of everything that matters; the engine is not imported."""
    return {
        "package": __version__,
        "pinnedEngine": load_manifest().engine_version,
        "python": sys.version,
        "packages": _packages([*sys.path]),
        "enginePackages": _engine_packages(),
        "system": _system(),
        "kernel": f"{platform.release()} {platform.version()} {platform.machine()}",
        "drivers": {name: _first_line(file) for name, file in _DRIVERS.items()},
    }


def disks(settings: Settings) -> dict[str, Any]:
    """Return how full the file systems are that the service uses."""
    folders = {
        "main": settings.main,
        "models": settings.models_dir,
        "public": settings.public,
    }
    found = {}
    for name, folder in folders.items():
        if folder.exists():
            usage = shutil.disk_usage(folder)
            found[name] = {"freeBytes": usage.free, "totalBytes": usage.total}
    return found


def memory() -> dict[str, str]:
    """Return what the kernel says of the memory."""
    lines = _MEMORY_FILE.read_text(encoding="ascii").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in pairs}


def own_processes(settings: Settings) -> list[dict[str, Any]]:
    """Return our processes: the host's, the engine's; no environment is read out."""
    import psutil  # noqa: PLC0415  # slow, and only here

    instance = processes.instance_id(settings.main)
    markers = (processes.MARKER, processes.RECORDER_MARKER)
    found = {one.pid: one for one in processes.find_engine_processes(instance, markers)}
    host = control.running_host(settings)
    if host is not None:
        root = psutil.Process(host.process.pid)
        found |= {one.pid: one for one in (root, *root.children(recursive=True))}
    return [_process(found[pid]) for pid in sorted(found)]


def _process(process: psutil.Process) -> dict[str, Any]:
    import psutil  # noqa: PLC0415

    try:
        with process.oneshot():
            started = datetime.fromtimestamp(process.create_time(), UTC)
            times = process.cpu_times()
            return {
                "pid": process.pid,
                "parent": process.ppid(),
                "name": process.name(),
                "argv": without_option_values(process.cmdline()),
                "status": process.status(),
                "started": started.isoformat(timespec="seconds"),
                "threads": process.num_threads(),
                "residentBytes": process.memory_info().rss,
                "processorS": round(times.user + times.system, 2),
            }
    except psutil.Error as error:
        return {"pid": process.pid, "error": type(error).__name__}


def _engine_packages() -> dict[str, str]:
    """Return those of the engine's own Python, where it has one."""
    try:
        program = Path(engine_program())
    except EngineNotInstalled:
        return {}
    places = program.parent.parent.glob("lib/python3*/*-packages")
    return _packages([str(place) for place in places])


def _packages(path: list[str]) -> dict[str, str]:
    found = {
        str(one.metadata["Name"]).lower().replace("_", "-"): one.version
        for one in distributions(path=path)
        if one.metadata["Name"]
    }
    return {name: found[name] for name in sorted(found.keys() & _TOLD)}


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _first_line(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return None


def cpus() -> dict[str, Any]:
    """Return what the processors can do, as far as it decides how the engine works."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    lines = text.partition("\n\n")[0].splitlines()
    told = {"model name", "flags", "Features", "CPU implementer", "CPU part"}
    pairs = (line.partition(":") for line in lines)
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    kept = {name: value for name, value in facts.items() if name in told}
    return {"usable": len(os.sched_getaffinity(0)), **kept}

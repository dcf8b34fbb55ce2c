"""The machine as it is at the moment: GPUs, processors, memory, disk and network."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psutil

from vllm_pkg.clock import BootClock, Clock
from vllm_pkg.hardware.detect import detect_hardware
from vllm_pkg.hardware.facts import Vendor
from vllm_pkg.hardware.memory import read_system_memory
from vllm_pkg.hardware.nvml_load import GpuLoad, read_loads
from vllm_pkg.service.disk import disk_json

if TYPE_CHECKING:
    from vllm_pkg.hardware.facts import Gpu
    from vllm_pkg.settings import Settings

# However many people look: shorter than they can see, and long enough for a rate.
LOOK_EVERY_S: Final = 0.5
_GIB: Final = 1024**3
_PERCENT: Final = 100.0


@dataclass(frozen=True)
class Counters:
    """
    What only grows, at one moment.

    Args:
        at_s: When, in seconds since boot.
        busy_s: Seconds in which a processor worked, all of them together.
        all_s: Seconds of all processors.
        received_bytes: Received from the network, without the machine itself.
        sent_bytes: Sent to it.
    """

    at_s: float
    busy_s: float
    all_s: float
    received_bytes: int
    sent_bytes: int


def cpu_percent(before: Counters, now: Counters) -> float | None:
    """Return how busy the processors were in between; None: nobody can tell."""
    passed_s = now.all_s - before.all_s
    if passed_s <= 0:
        return None
    share = (now.busy_s - before.busy_s) / passed_s
    return round(_PERCENT * min(1.0, max(0.0, share)), 1)


def per_second(before: int, now: int, passed_s: float) -> int | None:
    """Return a rate; None: nobody can tell."""
    return round(max(0, now - before) / passed_s) if passed_s > 0 else None


@dataclass
class MachineWatch:
    """
    Looks at the machine, for any number of people at once.

    Args:
        settings: Whose machine it is.
        clock: Measures the time between two looks.
    """

    settings: Settings
    clock: Clock = field(default_factory=BootClock)
    _last: Counters | None = None
    _seen: dict[str, Any] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> dict[str, Any]:
        """
        Return the machine as it is; rates are those since the look before.

        Raises:
            SettingsInvalid: the recorded machine cannot be understood.
        """
        with self._lock:
            last, now_s = self._last, self.clock.now_s()
            if self._seen is None or not last or now_s - last.at_s >= LOOK_EVERY_S:
                now = _read_counters(now_s)
                self._seen = _machine_json(self.settings, last, now)
                self._last = now
            return self._seen


@functools.cache
def machine_watch(settings: Settings) -> MachineWatch:
    """Return the one watch of an instance that a process has."""
    return MachineWatch(settings)


def _read_counters(now_s: float) -> Counters:
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    # Guests are counted twice, once as their host's own time.
    guests_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    all_s = sum(times) - guests_s
    cards = psutil.net_io_counters(pernic=True)
    outside = [counted for name, counted in cards.items() if name != "lo"]
    return Counters(
        at_s=now_s,
        busy_s=all_s - idle_s,
        all_s=all_s,
        received_bytes=sum(counted.bytes_recv for counted in outside),
        sent_bytes=sum(counted.bytes_sent for counted in outside),
    )


def _machine_json(
    settings: Settings, last: Counters | None, now: Counters
) -> dict[str, Any]:
    before = last or now
    passed_s = now.at_s - before.at_s
    received = per_second(before.received_bytes, now.received_bytes, passed_s)
    sent = per_second(before.sent_bytes, now.sent_bytes, passed_s)
    return _hardware_json(settings) | {
        "cpu": {
            "cores": psutil.cpu_count() or 1,
            "percent": cpu_percent(before, now),
            "load1": round(psutil.getloadavg()[0], 2),
        },
        "memory": _memory_json(),
        "disk": disk_json(settings.main),
        "network": {
            "receivedBytes": now.received_bytes,
            "sentBytes": now.sent_bytes,
            "receivedBytesPerS": received,
            "sentBytesPerS": sent,
        },
        "uptimeS": round(now.at_s),
    }


def _hardware_json(settings: Settings) -> dict[str, Any]:
    hardware = detect_hardware(settings)
    # The GPUs of a recorded machine are not here to be asked.
    is_real = settings.hardware_file is None
    has_nvidia = any(gpu.vendor is Vendor.NVIDIA for gpu in hardware.gpus)
    loads = read_loads() if is_real and has_nvidia else {}
    return {
        "tier": None if hardware.tier is None else hardware.tier.value,
        "modelMemoryGib": round(hardware.memory_gib, 2),
        "source": hardware.source,
        "notes": [*hardware.notes, *hardware.probe_failures],
        "gpus": [_gpu_json(gpu, loads) for gpu in hardware.gpus],
    }


def _gpu_json(gpu: Gpu, loads: dict[int, GpuLoad]) -> dict[str, Any]:
    is_nvidia = gpu.vendor is Vendor.NVIDIA
    load = loads.get(gpu.index, GpuLoad()) if is_nvidia else GpuLoad()
    return {
        "vendor": gpu.vendor.value,
        "index": gpu.index,
        "name": gpu.name,
        "computeCapability": gpu.compute_capability,
        "memoryGib": None if gpu.memory_gib is None else round(gpu.memory_gib, 2),
        "freeGib": None if gpu.free_gib is None else round(gpu.free_gib, 2),
        "busyPercent": load.busy_percent,
        "temperatureC": load.temperature_c,
        "powerW": load.power_w,
    }


def _memory_json() -> dict[str, Any]:
    memory = read_system_memory()
    free_gib = memory.free_gib
    return {
        "totalBytes": round(memory.memory_gib * _GIB),
        "freeBytes": None if free_gib is None else round(free_gib * _GIB),
    }

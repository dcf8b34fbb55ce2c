"""The machine at the moment: rates out of counters, and one look for all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from support.settings_factory import make_settings
from vllm_pkg.service import machine
from vllm_pkg.service.machine import Counters, MachineWatch

BEFORE = Counters(10.0, 100.0, 400.0, 1000, 500)


@dataclass
class HandClock:
    """A clock that stands still until it is set."""

    at_s: float = 100.0

    def now_s(self) -> float:
        """Return what it was set to."""
        return self.at_s

    def boot_id(self) -> str:
        """Return a boot."""
        return "boot"


@pytest.mark.parametrize(
    ("busy_s", "all_s", "percent"),
    [(101.0, 404.0, 25.0), (100.0, 404.0, 0.0), (99.0, 404.0, 0.0), (100, 400, None)],
)
def test_how_busy_the_processors_were(busy_s, all_s, percent):
    """It is a share of all processor time; counters of the kernel may step back."""
    now = replace(BEFORE, busy_s=busy_s, all_s=all_s)

    assert machine.cpu_percent(BEFORE, now) == percent


@pytest.mark.parametrize(
    ("now", "passed_s", "rate"), [(3000, 2.0, 1000), (500, 2.0, 0), (3000, 0.0, None)]
)
def test_a_rate_needs_time(now, passed_s, rate):
    """A card that went away makes the sum smaller; that is no rate."""
    assert machine.per_second(1000, now, passed_s) == rate


def test_many_lookers_cause_one_look(tmp_path):
    """Within half a second the same picture serves all; the next one has rates."""
    clock = HandClock()
    watch = MachineWatch(make_settings(tmp_path), clock)
    first = watch.look()
    clock.at_s += 0.4

    assert watch.look() is first
    assert first["cpu"]["percent"] is None

    clock.at_s += 0.2
    second = watch.look()

    assert second is not first
    assert second["network"]["receivedBytesPerS"] is not None
    assert second["memory"]["totalBytes"] > 2**28
    assert second["disk"]["totalBytes"] > second["disk"]["freeBytes"] > 0
    assert second["cpu"]["cores"] >= 1


def test_the_gpus_of_a_recorded_machine_are_not_asked(tmp_path):
    """A replayed machine has its GPUs, and no load."""
    path = tmp_path / "machine.json"
    path.write_text(
        '{"system_memory_gib": 64, "gpus": [{"vendor": "nvidia", "index": 0, "name":'
        ' "X", "compute_capability": "9.0", "memory_gib": 80}]}'
    )
    settings = make_settings(tmp_path, VLLM_PKG_HARDWARE=str(path))

    (gpu,) = MachineWatch(settings).look()["gpus"]

    assert gpu["memoryGib"] == 80
    assert gpu["busyPercent"] is None

"""The last minutes of the machine, kept in memory and bounded. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Five minutes, at one sample every two seconds.
SAMPLE_S: Final = 2.0
SAMPLES_MAX: Final = 150
_GIB: Final = 1024**3


@dataclass
class History:
    """
    Values over time, one series per name; what could not be read is a gap.

    Args:
        samples_max: How many values are kept at most.
    """

    samples_max: int = SAMPLES_MAX
    _samples: deque[Mapping[str, float]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin empty."""
        self._samples = deque(maxlen=self.samples_max)

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, values: Mapping[str, float]) -> None:
        """Add what was read at one moment."""
        self._samples.append(values)

    def series(self, name: str) -> tuple[float | None, ...]:
        """Return the values of a name, the oldest first; None where there is none."""
        return tuple(sample.get(name) for sample in self._samples)


def values_of(machine: Mapping[str, Any]) -> dict[str, float]:
    """
    Return what is kept of one look at the machine.

    Args:
        machine: As `vllm_pkg.service.machine.MachineWatch.look` describes it.
    Returns:
        Values by name; what nobody can tell has none.
    """
    memory, network = machine["memory"], machine["network"]
    values = {
        "cpu": machine["cpu"]["percent"],
        "received": network["receivedBytesPerS"],
        "sent": network["sentBytesPerS"],
    }
    if memory["freeBytes"] is not None:
        values["memory"] = memory["totalBytes"] - memory["freeBytes"]
    for number, gpu in enumerate(machine["gpus"]):
        values[f"gpu-{number}-busy"] = gpu["busyPercent"]
        values[f"gpu-{number}-memory"] = used_bytes(gpu)
    return {name: float(value) for name, value in values.items() if value is not None}


def used_bytes(gpu: Mapping[str, Any]) -> float | None:
    """Return how much memory of a GPU is in use; None when it is not known."""
    if gpu["memoryGib"] is None or gpu["freeGib"] is None:
        return None
    return max(0.0, float(gpu["memoryGib"] - gpu["freeGib"])) * _GIB

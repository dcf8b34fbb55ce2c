"""What NVIDIA GPUs are doing at the moment, read through NVML."""

# ruff: noqa: N802, D102  # the names are NVML's, and so are their meanings

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_MILLIWATTS: Final = 1000.0


class Nvml(Protocol):
    """The part of the binding that is used."""

    NVMLError: type[Exception]
    NVML_TEMPERATURE_GPU: int

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...
    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int: ...
    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int: ...


@dataclass(frozen=True)
class GpuLoad:
    """
    What one GPU is doing; None for what it does not tell.

    Args:
        busy_percent: Share of the last moment in which a program ran on it.
        temperature_c: Its temperature in degrees Celsius.
        power_w: Watts that it draws.
    """

    busy_percent: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None


def read_loads(nvml: Nvml | None = None) -> dict[int, GpuLoad]:
    """
    Return what each GPU is doing, by its index; nothing where NVML does not answer.

    Args:
        nvml: The binding; None: the installed one.
    """
    binding: Nvml = nvml or _binding()
    try:
        binding.nvmlInit()
    except binding.NVMLError:
        return {}
    try:
        count = binding.nvmlDeviceGetCount()
        return {index: _load(binding, index) for index in range(count)}
    except binding.NVMLError:
        return {}
    finally:
        with suppress(binding.NVMLError):
            binding.nvmlShutdown()


def _load(nvml: Nvml, index: int) -> GpuLoad:
    def ask(question: Callable[[Any], Any]) -> Any:
        # Not every GPU has every sensor, and one split by MIG tells no load.
        with suppress(nvml.NVMLError):
            return question(nvml.nvmlDeviceGetHandleByIndex(index))
        return None

    rates = ask(nvml.nvmlDeviceGetUtilizationRates)
    sensor = nvml.NVML_TEMPERATURE_GPU
    power = ask(nvml.nvmlDeviceGetPowerUsage)
    return GpuLoad(
        busy_percent=None if rates is None else int(rates.gpu),
        temperature_c=ask(lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, sensor)),
        power_w=None if power is None else power / _MILLIWATTS,
    )


def _binding() -> Nvml:
    import pynvml  # noqa: PLC0415  # commands that need no GPU stay fast

    binding: Nvml = pynvml
    return binding

"""What the charts of the page show, with their values in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.portal.pages.machine.chart import lines, scale_end
from vllm_pkg.portal.wording import percent, size, speed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vllm_pkg.portal.pages.machine.history import History
    from vllm_pkg.portal.texts.catalogue import Texts

_GIB: Final = 1024**3
_WHOLE: Final = 100.0
# A quiet network is a flat line, and not a mountain of a few packets.
_LEAST_BYTES_PER_S: Final = 1024.0**2


@dataclass(frozen=True)
class Chart:
    """
    One chart.

    Args:
        title: What it shows.
        value: How it is now.
        label: The same and the highest value, for those who do not see it.
        lines: Points of its lines.
    """

    title: str
    value: str
    label: str
    lines: tuple[str, ...]


def charts(
    texts: Texts, machine: Mapping[str, Any], history: History
) -> tuple[Chart, ...]:
    """
    Return the charts of the last minutes.

    Args:
        texts: The language.
        machine: As `vllm_pkg.service.machine.MachineWatch.look` describes it.
        history: What was kept.
    """

    def chart(
        name: str, title: str, end: float | None, words: Callable[[float], str]
    ) -> Chart | None:
        return _chart(texts, history.series(name), title, end, words)

    def share(value: float) -> str:
        return percent(texts, value)

    def amount(value: float) -> str:
        return size(texts, value)

    def rate(value: float) -> str:
        return speed(texts, value)

    found = []
    for number, gpu in enumerate(machine["gpus"]):
        title = texts("machine.chart.gpu_memory", index=gpu["index"])
        total = (gpu["memoryGib"] or 0.0) * _GIB
        found.append(chart(f"gpu-{number}-memory", title, total or None, amount))
        title = texts("machine.chart.gpu_busy", index=gpu["index"])
        found.append(chart(f"gpu-{number}-busy", title, _WHOLE, share))
    memory = machine["memory"]["totalBytes"] or None
    found += [
        chart("cpu", texts("machine.chart.cpu"), _WHOLE, share),
        chart("memory", texts("machine.chart.memory"), memory, amount),
        chart("received", texts("machine.chart.received"), None, rate),
        chart("sent", texts("machine.chart.sent"), None, rate),
    ]
    return tuple(item for item in found if item is not None)


def _chart(
    texts: Texts,
    series: tuple[float | None, ...],
    title: str,
    end: float | None,
    words: Callable[[float], str],
) -> Chart | None:
    """Return a chart; None when nobody has ever told such a value."""
    known = [value for value in series if value is not None]
    if not known:
        return None
    end = scale_end(series, _LEAST_BYTES_PER_S) if end is None else end
    now, highest = words(known[-1]), words(max(known))
    return Chart(
        title=title,
        value=now,
        label=texts("machine.chart.label", title=title, now=now, highest=highest),
        lines=lines(series, end),
    )

"""
Figures of the service for Prometheus, in its text format 0.0.4.

What changes with the state comes out of the last look, so that a scrape costs little.
Source: prometheus.io, "Exposition formats".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg import __version__
from vllm_pkg.engine.guard.usage import read_usage
from vllm_pkg.engine.phases import ORDER
from vllm_pkg.health.checker import Result
from vllm_pkg.service.downloads import list_downloads
from vllm_pkg.service.machine import machine_watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vllm_pkg.settings import Settings

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_GIB: Final = 1024**3
_RUNNING: Final = frozenset({"running", "stalled"})


@dataclass(frozen=True)
class Metric:
    """
    One metric with its samples.

    Args:
        name: Its name.
        text: What it is.
        samples: Labels with a value each; None for what is not known is left out.
        kind: ``gauge`` or ``counter``.
    """

    name: str
    text: str
    samples: tuple[tuple[dict[str, str], float | None], ...]
    kind: str = "gauge"


def metrics_text(settings: Settings, state: dict[str, Any] | None) -> str:
    """
    Return all figures.

    Args:
        settings: Settings in force.
        state: The state as `vllm_pkg.service.status.collect` tells it; None: it is not
            known, and what comes out of it is left out.
    Raises:
        ServiceError: switch.json is damaged, or the machine cannot be looked at.
    """
    usage = read_usage(settings.key_usage_dir).values()
    requests = sum(one.requests for one in usage)
    found = [
        Metric("vllm_pkg_info", "This package.", (({"version": __version__}, 1),)),
        Metric(
            "vllm_pkg_requests_total",
            "Requests with a valid key that the API has taken.",
            (({}, requests),),
            kind="counter",
        ),
        *machine_metrics(machine_watch(settings).look()),
        *download_metrics(list_downloads(settings)),
        *(state_metrics(state) if state is not None else ()),
    ]
    return format_metrics(found)


def state_metrics(state: dict[str, Any]) -> tuple[Metric, ...]:
    """Return what the state tells."""
    result, start = state["health"]["result"], state["start"]
    phase = None if start is None else start["phase"]
    return (
        Metric(
            "vllm_pkg_health",
            "Result of the health check: 1 for the one that it has.",
            tuple(({"result": one.value}, one.value == result) for one in Result),
        ),
        Metric(
            "vllm_pkg_phase",
            "Phase of the engine's start: 1 for the one that it is in.",
            tuple(({"phase": one.value}, one.value == phase) for one in ORDER),
        ),
        Metric(
            "vllm_pkg_start_seconds",
            "Seconds from the start of the engine to readiness.",
            (({}, None if start is None else start["readyAfterS"]),),
        ),
        Metric("vllm_pkg_tasks", "Tasks that wait.", (({}, len(state["tasks"])),)),
    )


def machine_metrics(machine: dict[str, Any]) -> tuple[Metric, ...]:
    """Return what a look at the machine tells."""
    disk, memory, network = machine["disk"], machine["memory"], machine["network"]
    return (
        _bytes("disk_free", "Free on the disk of the main volume.", disk["freeBytes"]),
        _bytes("disk_size", "Size of that disk.", disk["totalBytes"]),
        _bytes("memory_free", "Main memory to be had.", memory["freeBytes"]),
        _bytes("memory_size", "Main memory.", memory["totalBytes"]),
        _gpus(machine, "memory_free_bytes", "Its free memory.", "freeGib", _GIB),
        _gpus(machine, "memory_size_bytes", "Its memory.", "memoryGib", _GIB),
        _gpus(machine, "busy_ratio", "How busy it is.", "busyPercent", 0.01),
        Metric(
            "vllm_pkg_network_received_bytes_total",
            "Received by the network cards.",
            (({}, network["receivedBytes"]),),
            kind="counter",
        ),
        Metric(
            "vllm_pkg_network_sent_bytes_total",
            "Sent by the network cards.",
            (({}, network["sentBytes"]),),
            kind="counter",
        ),
    )


def download_metrics(downloads: list[dict[str, Any]]) -> tuple[Metric, ...]:
    """Return how far the downloads that run are."""
    running = [one for one in downloads if one["state"] in _RUNNING]

    def samples(key: str) -> tuple[tuple[dict[str, str], float | None], ...]:
        return tuple(
            ({"id": one["id"], "repository": one["repository"] or ""}, one[key])
            for one in running
        )

    return (
        Metric(
            "vllm_pkg_download_done_bytes",
            "Bytes of a download that are there.",
            samples("bytesDone"),
        ),
        Metric(
            "vllm_pkg_download_size_bytes", "Bytes of it in all.", samples("bytesTotal")
        ),
    )


def format_metrics(metrics: Iterable[Metric]) -> str:
    """Return metrics as text; one without samples is left out."""
    lines: list[str] = []
    for metric in metrics:
        known = [
            (labels, value) for labels, value in metric.samples if value is not None
        ]
        if known:
            lines.append(f"# HELP {metric.name} {_escape_help(metric.text)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in known:
            lines.append(f"{metric.name}{_labels(labels)} {_number(value)}")
    return "".join(f"{line}\n" for line in lines)


def _bytes(name: str, text: str, value: float | None) -> Metric:
    return Metric(f"vllm_pkg_{name}_bytes", text, (({}, value),))


def _gpus(
    machine: dict[str, Any], name: str, text: str, key: str, factor: float
) -> Metric:
    samples = tuple(
        (
            {"vendor": gpu["vendor"], "gpu": str(gpu["index"])},
            None if gpu[key] is None else gpu[key] * factor,
        )
        for gpu in machine["gpus"]
    )
    return Metric(f"vllm_pkg_gpu_{name}", text, samples)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    shown = ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items())
    return f"{{{shown}}}"


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _escape(text: str) -> str:
    return _escape_help(text).replace('"', '\\"')


def _number(value: float) -> str:
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() else repr(value)

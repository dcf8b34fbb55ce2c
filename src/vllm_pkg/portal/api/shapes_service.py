"""The answers about the service as a whole: state, health, starts, machine."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from vllm_pkg.health.checker import Result
from vllm_pkg.portal.api.given import Shape
from vllm_pkg.settings_table import Profile
from vllm_pkg.state.switch import SwitchPhase


class HealthShape(Shape):
    """The result of one health check."""

    id: str
    name: str
    result: Result
    message: str


class ModelShape(Shape):
    """What is selected; null where nothing is."""

    selection: str | None
    source: str | None
    served_name: str | None


class PhaseShape(Shape):
    """One phase of a start, and how long it took."""

    phase: str
    seconds: float


class StartShape(Shape):
    """How far the engine's start is."""

    phase: str
    phase_percent: float | None
    percent: float | None
    eta_s: int | None
    elapsed_s: int
    ready_after_s: float | None
    repository: str | None
    bytes_done: int | None
    bytes_total: int | None
    bytes_per_s: float | None
    is_stalled: bool
    phases: list[PhaseShape]
    log_file: str | None
    text: str


class PresentStart(StartShape):
    """The start that goes on, or the one that serves."""

    model: str
    started_at: str | None


class EarlierStart(Shape):
    """A start that became ready."""

    started_at: str
    model: str
    seconds: float
    phases: list[PhaseShape]
    weights_gib: float | None
    kv_cache_gib: float | None
    kv_cache_tokens: int | None
    is_same: bool


class StartsShape(Shape):
    """The present start and the earlier ones, the newest first."""

    present: PresentStart | None
    earlier: list[EarlierStart]


class ChangeShape(Shape):
    """A change of an option or a variable that would help."""

    name: str
    value: str | None
    is_removed: bool


class SwitchProgressShape(Shape):
    """How far the download of a switch is."""

    id: str
    repository: str
    bytes_done: int
    bytes_total: int
    bytes_per_s: float
    eta_s: float | None
    is_stalled: bool
    updated_s: float


class SwitchShape(Shape):
    """A switch of models."""

    id: str
    phase: SwitchPhase
    is_over: bool
    target: ModelShape
    previous: ModelShape
    requested_at: str
    changed_at: str
    reason: str | None
    return_reason: str | None
    hint: str | None
    changes: list[ChangeShape]
    progress: SwitchProgressShape | None
    text: str


class WaitingShape(Shape):
    """A switch that follows the present one."""

    id: str
    target: ModelShape
    requested_at: str


class SwitchesShape(Shape):
    """The present or the last switch, and the one that waits."""

    current: SwitchShape | None
    waiting: WaitingShape | None


class ApiShape(Shape):
    """Where the API of the service is."""

    base_url: str


class HardwareShape(Shape):
    """What the machine is to the service."""

    tier: str | None
    memory_gib: float
    notes: list[str]


class DiskShape(Shape):
    """The disk of the main volume."""

    path: str
    free_bytes: int
    total_bytes: int


class TaskShape(Shape):
    """Something that waits to be done."""

    action_id: str
    severity: Literal["critical", "important", "optional"]
    reason: str


class _Recorded(BaseModel):
    """A record as it stands in its file."""

    model_config = ConfigDict(extra="forbid")


class RecordedChange(_Recorded):
    """A change of an option or a variable that would help."""

    name: str
    value: str | None
    is_removed: bool


class FailureShape(_Recorded):
    """The engine's last failure."""

    at: str
    at_s: float
    boot_id: str
    summary: str
    hint: str
    exit_code: int | None
    is_final: bool
    starts: int
    log_tail: list[str]
    cause: str | None
    explanation: str | None
    evidence: str | None
    changes: list[RecordedChange]
    selection: str | None
    fix: str
    pid: int | None


class StatusShape(Shape):
    """The whole picture of the service."""

    version: str
    profile: Profile
    is_running: bool
    model: ModelShape
    health: HealthShape
    start: StartShape | None
    switch: SwitchesShape
    api: ApiShape
    hardware: HardwareShape
    disk: DiskShape
    tasks: list[TaskShape]
    last_failure: FailureShape | None


class GpuShape(Shape):
    """One GPU; null for what it does not tell."""

    vendor: str
    index: int
    name: str
    compute_capability: str
    memory_gib: float | None
    free_gib: float | None
    busy_percent: int | None
    temperature_c: int | None
    power_w: float | None


class CpuShape(Shape):
    """The processors."""

    cores: int
    percent: float | None
    load1: float


class MemoryShape(Shape):
    """Main memory, or the container's share of it."""

    total_bytes: int
    free_bytes: int | None


class NetworkShape(Shape):
    """The network cards together."""

    received_bytes: int
    sent_bytes: int
    received_bytes_per_s: int | None
    sent_bytes_per_s: int | None


class MachineShape(Shape):
    """The machine at the moment."""

    tier: str | None
    model_memory_gib: float
    source: str
    notes: list[str]
    gpus: list[GpuShape]
    cpu: CpuShape
    memory: MemoryShape
    disk: DiskShape
    network: NetworkShape
    uptime_s: int

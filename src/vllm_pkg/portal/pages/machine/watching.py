"""Keeping the last minutes of the machine, for everybody who opens the page."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vllm_pkg.engine import processes
from vllm_pkg.errors import ServiceError
from vllm_pkg.hardware.facts import Vendor
from vllm_pkg.hardware.nvml_users import read_gpu_users
from vllm_pkg.portal.pages.machine.history import SAMPLE_S, History, values_of
from vllm_pkg.service.machine import machine_watch
from vllm_pkg.service.processes import list_programs

if TYPE_CHECKING:
    from vllm_pkg.hardware.nvml_users import GpuUser
    from vllm_pkg.service.processes import Program
    from vllm_pkg.settings import Settings


@dataclass(frozen=True)
class MachineLook:
    """
    What the page shows at one moment.

    Args:
        machine: As `vllm_pkg.service.machine.MachineWatch.look` describes it.
        users: Who has memory of each NVIDIA GPU, by its index.
        own_pids: The processes of this engine.
        programs: The programs of the service; None while they cannot be asked.
    """

    machine: dict[str, Any]
    users: dict[int, tuple[GpuUser, ...]]
    own_pids: frozenset[int]
    programs: tuple[Program, ...] | None


def look(settings: Settings) -> MachineLook:
    """
    Look at the machine and its programs.

    Raises:
        SettingsInvalid: the recorded machine cannot be understood.
    """
    machine = machine_watch(settings).look()
    programs: tuple[Program, ...] | None = None
    with contextlib.suppress(ServiceError):
        programs = list_programs(settings)
    # The GPUs of a recorded machine are not here to be asked.
    is_real = settings.hardware_file is None
    if not is_real or all(gpu["vendor"] != Vendor.NVIDIA for gpu in machine["gpus"]):
        return MachineLook(machine, {}, frozenset(), programs)
    own = processes.find_engine_processes(processes.instance_id(settings.main))
    pids = frozenset(process.pid for process in own)
    return MachineLook(machine, read_gpu_users(), pids, programs)


@dataclass
class Watching:
    """
    Looks at the machine every two seconds for as long as the portal runs.

    Args:
        settings: Whose machine it is.
        history: What was seen in the last minutes.
    """

    settings: Settings
    history: History = field(default_factory=History)

    async def run(self) -> None:
        """Look until cancelled."""
        watch = machine_watch(self.settings)
        while True:
            values: dict[str, float] = {}
            # What cannot be read is a gap, and the page says why.
            with contextlib.suppress(ServiceError):
                values = values_of(await asyncio.to_thread(watch.look))
            self.history.add(values)
            await asyncio.sleep(SAMPLE_S)

"""The machine and its programs in words: a sentence, GPUs, and rows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.hardware.facts import Tier
from vllm_pkg.portal.pages.machine.history import used_bytes
from vllm_pkg.portal.wording import percent, size, size_of, speed
from vllm_pkg.service.processes import Verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_pkg.hardware.nvml_users import GpuUser
    from vllm_pkg.portal.texts.catalogue import Texts
    from vllm_pkg.service.processes import Program

_GIB: Final = 1024**3
# In the order in which people ask for them.
_KNOWN: Final = ("engine", "fetcher", "keeper", "portal")
_WELL: Final = frozenset({"running"})
_BUSY: Final = frozenset({"starting", "stopping", "backoff"})


@dataclass(frozen=True)
class GpuRow:
    """
    One GPU.

    Args:
        name: With its number.
        facts: Its memory and what it is doing.
        users: Who has memory of it.
        percent: How much of its memory is in use; None: nobody knows.
    """

    name: str
    facts: tuple[str, ...]
    users: tuple[str, ...]
    percent: float | None


@dataclass(frozen=True)
class Question:
    """
    What is asked before a program is stopped or restarted.

    Args:
        title: The question.
        lost: What is interrupted.
        gained: What it is good for.
        action: What the button that does it says.
    """

    title: str
    lost: str
    gained: str
    action: str


@dataclass(frozen=True)
class ProgramRow:
    """
    One program of the service.

    Args:
        name: What supervisord calls it.
        title: What people call it.
        about: What it is for.
        state: Its state in a word.
        tone: ``good``, ``busy`` or ``bad``.
        facts: Its process, and how it ended the last time.
        verbs: What can be done with it.
        started_s: When it was started, in seconds since 1970; None: it does not run.
            It is worked out anew each time, and therefore never quite the same.
    """

    name: str
    title: str
    about: str
    state: str
    tone: str
    facts: tuple[str, ...]
    verbs: tuple[Verb, ...]
    started_s: float | None = field(default=None, compare=False)


def summarize(texts: Texts, machine: Mapping[str, Any]) -> str:
    """Return what the machine has, in one sentence."""
    memory = machine["memory"]
    total = size(texts, memory["totalBytes"])
    gpus = [gpu for gpu in machine["gpus"] if gpu["memoryGib"] is not None]
    if machine["tier"] is None:
        return texts("machine.summary.nothing", memory=total)
    if machine["tier"] == Tier.CPU:
        cores = machine["cpu"]["cores"]
        return texts("machine.summary.cpu", count=cores, memory=total)
    count = len(machine["gpus"])
    if not gpus:
        return texts("machine.summary.shared", count=count, memory=total)
    own = size(texts, sum(gpu["memoryGib"] for gpu in gpus) * _GIB)
    return texts("machine.summary.gpus", count=count, own=own, memory=total)


def gpu_rows(
    texts: Texts,
    machine: Mapping[str, Any],
    users: Mapping[int, Sequence[GpuUser]],
    own_pids: frozenset[int],
) -> tuple[GpuRow, ...]:
    """
    Return the GPUs.

    Args:
        texts: The language.
        machine: As `vllm_pkg.service.machine.MachineWatch.look` describes it.
        users: Who has memory of each NVIDIA GPU, by its index.
        own_pids: The processes of this engine.
    """
    return tuple(
        _gpu(texts, gpu, users.get(gpu["index"], ()), own_pids)
        for gpu in machine["gpus"]
    )


def _gpu(
    texts: Texts,
    gpu: Mapping[str, Any],
    users: Sequence[GpuUser],
    own_pids: frozenset[int],
) -> GpuRow:
    used = used_bytes(gpu)
    facts = []
    if gpu["memoryGib"] is None:
        facts.append(texts("machine.gpu.shared"))
    elif used is None:
        total = size(texts, gpu["memoryGib"] * _GIB)
        facts.append(texts("machine.gpu.memory", memory=total))
    else:
        told = size_of(texts, used, gpu["memoryGib"] * _GIB)
        facts.append(texts("machine.gpu.used", amount=told))
    if gpu["busyPercent"] is not None:
        facts.append(
            texts("machine.gpu.busy", share=percent(texts, gpu["busyPercent"]))
        )
    if gpu["temperatureC"] is not None:
        facts.append(texts("machine.gpu.temperature", degrees=gpu["temperatureC"]))
    if gpu["powerW"] is not None:
        facts.append(texts("machine.gpu.power", watts=round(gpu["powerW"])))
    share = None
    if used is not None and gpu["memoryGib"]:
        share = 100.0 * used / (gpu["memoryGib"] * _GIB)
    return GpuRow(
        name=texts("machine.gpu.name", index=gpu["index"], name=gpu["name"]),
        facts=tuple(facts),
        users=tuple(_user(texts, user, own_pids) for user in users),
        percent=share,
    )


def _user(texts: Texts, user: GpuUser, own_pids: frozenset[int]) -> str:
    pid = str(user.pid)
    held = texts("machine.user.unknown")
    if user.memory_bytes is not None:
        held = size(texts, user.memory_bytes)
    if user.pid in own_pids:
        return texts("machine.user.engine", memory=held, pid=pid)
    if user.name:
        return texts("machine.user.named", memory=held, pid=pid, name=user.name)
    return texts("machine.user.unseen", memory=held, pid=pid)


def rest_rows(texts: Texts, machine: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return processor, memory, disk and network: a name and a value for each."""
    rows = {
        "cpu": _cpu(texts, machine["cpu"]),
        "memory": _memory(texts, machine["memory"]),
        "disk": texts(
            "machine.rest.disk_value",
            free=size(texts, machine["disk"]["freeBytes"]),
            total=size(texts, machine["disk"]["totalBytes"]),
        ),
        "network": _network(texts, machine["network"]),
    }
    return tuple((texts(f"machine.rest.{key}"), text) for key, text in rows.items())


def _cpu(texts: Texts, cpu: Mapping[str, Any]) -> str:
    if cpu["percent"] is None:
        return texts("machine.rest.cores", count=cpu["cores"])
    share = percent(texts, cpu["percent"])
    return texts("machine.rest.cpu_value", count=cpu["cores"], share=share)


def _memory(texts: Texts, memory: Mapping[str, Any]) -> str:
    if memory["freeBytes"] is None:
        return size(texts, memory["totalBytes"])
    used = memory["totalBytes"] - memory["freeBytes"]
    amount = size_of(texts, used, memory["totalBytes"])
    return texts("machine.rest.memory_value", amount=amount)


def _network(texts: Texts, network: Mapping[str, Any]) -> str:
    received, sent = network["receivedBytesPerS"], network["sentBytesPerS"]
    if received is None or sent is None:
        return texts("machine.rest.not_known")
    return texts(
        "machine.rest.network_value",
        received=speed(texts, received),
        sent=speed(texts, sent),
    )


def question(texts: Texts, row: ProgramRow, verb: Verb) -> Question | None:
    """Return what is asked before something is done; None: it interrupts nothing."""
    if verb is Verb.START:
        return None
    return Question(
        title=texts(f"machine.ask.{verb}", name=row.title),
        lost=texts(f"machine.lost.{row.name}.{verb}"),
        gained=texts(f"machine.gained.{verb}"),
        action=texts(f"machine.verb.{verb}"),
    )


def program_rows(
    texts: Texts, programs: Sequence[Program], now_s: float
) -> tuple[ProgramRow, ...]:
    """
    Return the programs: the known ones first.

    Args:
        texts: The language.
        programs: From `vllm_pkg.service.processes.list_programs`.
        now_s: The time, in seconds since 1970.
    """
    places = {name: place for place, name in enumerate(_KNOWN)}
    ordered = sorted(
        programs, key=lambda item: (places.get(item.name, len(_KNOWN)), item.name)
    )
    return tuple(_program(texts, program, now_s) for program in ordered)


def _program(texts: Texts, program: Program, now_s: float) -> ProgramRow:
    name, title, about = program.name, program.name, ""
    if name in _KNOWN:
        title = texts(f"machine.program.{name}")
        about = texts(f"machine.about.{name}")
    facts = []
    if program.pid is not None:
        facts.append(texts("machine.process", pid=str(program.pid)))
    if program.exit_code is not None:
        facts.append(texts("machine.ended_with", code=program.exit_code))
    return ProgramRow(
        name=name,
        title=title,
        about=about,
        state=texts(f"machine.state.{program.state}"),
        tone=_tone(program.state),
        facts=tuple(facts),
        verbs=_verbs(program),
        started_s=None if program.uptime_s is None else now_s - program.uptime_s,
    )


def _tone(state: str) -> str:
    if state in _WELL:
        return "good"
    return "busy" if state in _BUSY else "bad"


def _verbs(program: Program) -> tuple[Verb, ...]:
    """Return what makes sense in its state, and is allowed."""
    is_up = program.state in _WELL | _BUSY
    sensible = (Verb.RESTART, Verb.STOP) if is_up else (Verb.START,)
    return tuple(verb for verb in sensible if verb not in program.refused)

"""
Whether a model fits this machine: the one entry for commands and actions.

`assess` answers; `predict` gives the figures without any correction; `note_measured`
keeps what a start measured, so that the next answer is better.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing import arguments as options
from vllm_pkg.models.sizing.estimate import Situation, estimate
from vllm_pkg.models.sizing.hub_source import HubAccess, ask_hub
from vllm_pkg.models.sizing.learned import (
    Memory,
    Start,
    choose,
    keep_start,
    model_key,
    read_starts,
)
from vllm_pkg.models.sizing.local_source import read_local
from vllm_pkg.models.sizing.machine import GIB, describe_machine
from vllm_pkg.models.sizing.planning import value_bytes
from vllm_pkg.models.sizing.reading import read_architecture
from vllm_pkg.models.sizing.unknown import NotKnown
from vllm_pkg.models.sizing.verdict import Verdict, decide
from vllm_pkg.models.sizing.weights import Loading, file_bytes, loaded_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm_pkg.hardware.facts import Hardware
    from vllm_pkg.models.sizing.architecture import Architecture
    from vllm_pkg.models.sizing.arguments import ServeArguments
    from vllm_pkg.models.sizing.checkpoint import Checkpoint, Origin
    from vllm_pkg.models.sizing.verdict import Decision
    from vllm_pkg.settings import Settings

# What a measurement depends on besides the model and the cards.
_DECIDING: Final = (
    options.TENSOR_PARALLEL,
    "--pipeline-parallel-size",
    "--dtype",
    "--quantization",
    options.CACHE_DTYPE,
    options.EAGER,
    "--max-num-seqs",
    "--max-num-batched-tokens",
    "--language-model-only",
    options.SPECULATIVE,
)


@dataclass(frozen=True)
class Request:
    """
    A model and the arguments that it is to be served with.

    Args:
        model: A repository or a folder.
        values: Values of options, by the name of the engine's table; an option without
            a value has the empty text.
        cpu_cache_gib: Memory that the package gives the KV cache on a CPU; None where
            vLLM decides.
        access: How the Hub is asked.
        returned_gib: What each card will get back, because the engine that runs now
            ends before this model starts.
    """

    model: str
    values: Mapping[str, str] = field(default_factory=dict)
    cpu_cache_gib: float | None = None
    access: HubAccess = field(default_factory=HubAccess)
    returned_gib: tuple[float, ...] = ()

    @property
    def key(self) -> str:
        """What names it among earlier starts."""
        deciding = [
            (name, self.values[name]) for name in _DECIDING if name in self.values
        ]
        return model_key(self.model, deciding)


@dataclass(frozen=True)
class Assessment:
    """
    The answer.

    Args:
        model: The model.
        verdict: Runs, runs with a change, does not run, or unknown.
        reason: Why it is unknown; else None.
        hint: What to do about that; None when nothing can be done.
        decision: What the answer rests on; None when it is unknown.
        situation: The model on the machine; None when it is unknown.
        origin: Where the model's files were looked at; None when nowhere.
        notes: What the answer does not count.
    """

    model: str
    verdict: Verdict
    reason: str | None = None
    hint: str | None = None
    decision: Decision | None = None
    situation: Situation | None = None
    origin: Origin | None = None
    notes: tuple[str, ...] = ()


def assess(settings: Settings, hardware: Hardware, request: Request) -> Assessment:
    """
    Say whether a model runs on this machine.

    Nothing is downloaded but the config and the headers of the weights, and only when
    the model is not on this machine.

    Args:
        settings: Where the cache and the earlier starts are.
        hardware: The machine.
        request: The model and its arguments.
    Returns:
        The answer. What cannot be found out makes it unknown, never a guess.
    Raises:
        InvalidArgument: a value of an option cannot be understood.
    """
    arguments = options.read_arguments(request.values)
    try:
        checkpoint = _find(settings, request, arguments)
        situation = _situate(hardware, request, arguments, checkpoint)
        starts = read_starts(settings)
        is_cpu = situation.machine.is_cpu
        correction = choose(request.key, starts, is_cpu=is_cpu)
        situation = replace(situation, correction=correction)
        decision = decide(situation, arguments)
    except NotKnown as unknown:
        return Assessment(request.model, Verdict.UNKNOWN, unknown.reason, unknown.hint)
    return Assessment(
        model=request.model,
        verdict=decision.verdict,
        decision=decision,
        situation=situation,
        origin=checkpoint.origin,
        notes=_notes(situation, arguments),
    )


def predict(settings: Settings, hardware: Hardware, request: Request) -> Memory | None:
    """
    Predict the memory of a start of a model that is on this machine.

    Args:
        settings: Where the cache is.
        hardware: The machine.
        request: The model and its arguments.
    Returns:
        The prediction, without any correction; None when it is not known, or the model
        is not here: the network is never asked.
    Raises:
        InvalidArgument: a value of an option cannot be understood.
    """
    arguments = options.read_arguments(request.values)
    try:
        checkpoint = read_local(settings, request.model, arguments.revision)
        if checkpoint is None:
            return None
        situation = _situate(hardware, request, arguments, checkpoint)
        result = estimate(situation, arguments)
    except NotKnown:
        return None
    return Memory(
        weights_gib=result.weights_bytes / GIB,
        kv_cache_gib=result.cache_bytes / GIB,
        kv_cache_tokens=result.capacity_tokens,
    )


def note_measured(
    settings: Settings, hardware: Hardware, request: Request, measured: Memory
) -> bool:
    """
    Keep what a start measured, beside what would have been predicted.

    Args:
        settings: Where it is kept.
        hardware: The machine.
        request: The model and the arguments that it was started with.
        measured: What vLLM logged.
    Returns:
        Whether it was kept; without a prediction there is nothing to compare with.
    Raises:
        InvalidArgument: a value of an option cannot be understood.
        StateWriteFailed: it cannot be written.
        StateLocked: other programs write it for longer than is reasonable.
    """
    predicted = predict(settings, hardware, request)
    if predicted is None:
        return False
    start = Start(predicted, measured, is_cpu=not hardware.accelerators)
    keep_start(settings, request.key, start)
    return True


def _find(
    settings: Settings, request: Request, arguments: ServeArguments
) -> Checkpoint:
    if arguments.unfollowed:
        told = " and ".join(arguments.unfollowed)
        raise NotKnown(f"what {told} makes of the model is not known")
    found = read_local(settings, request.model, arguments.revision)
    if found is not None:
        return found
    return ask_hub(request.model, arguments.revision, request.access)


def _situate(
    hardware: Hardware,
    request: Request,
    arguments: ServeArguments,
    checkpoint: Checkpoint,
) -> Situation:
    machine = describe_machine(hardware, request.returned_gib)
    architecture = read_architecture(checkpoint.config)
    given = request.cpu_cache_gib
    return Situation(
        architecture=architecture,
        weights_bytes=_weights_bytes(checkpoint, architecture, arguments),
        machine=machine,
        cpu_cache_bytes=None if given is None else round(given * GIB),
    )


def _weights_bytes(
    checkpoint: Checkpoint, architecture: Architecture, arguments: ServeArguments
) -> int:
    loading = Loading(
        value_bytes=value_bytes(architecture, arguments),
        quantization=arguments.quantization,
        is_drafting=options.SPECULATIVE in arguments.not_counted,
        is_text_only=arguments.is_text_only,
    )
    if checkpoint.tensors is None:
        return file_bytes(checkpoint.stored_bytes, architecture, loading)
    return loaded_bytes(checkpoint.tensors, architecture, loading)


def _notes(situation: Situation, arguments: ServeArguments) -> tuple[str, ...]:
    notes = [f"{name} is not counted." for name in arguments.not_counted]
    if not situation.machine.is_free_known:
        notes.append("Free memory is not known; all of it is taken as free.")
    return tuple(notes)

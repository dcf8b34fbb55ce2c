"""
Memory beside weights and KV cache: activations, logits, graphs, the engine itself.

vLLM measures it when it starts, with one pass over as many tokens as a step may have.
Here it is estimated, and learned from what earlier starts measured (`corrections`):

* activations: per token of a step, four hidden states and twice the widest feed-forward
  layer with its input gate, the latter divided among the cards, in the model's type;
* logits: per sequence that runs at once, three copies of the vocabulary in 32 bits;
* graphs: 0.3 GiB and 12 MiB per layer, unless ``--enforce-eager`` is given;
* on the CPU, the programs of the engine: 2.2 GiB (API server, core and worker).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vllm_pkg.models.sizing.machine import GIB

if TYPE_CHECKING:
    from vllm_pkg.models.sizing.architecture import Architecture
    from vllm_pkg.models.sizing.arguments import ServeArguments
    from vllm_pkg.models.sizing.machine import Machine

_HIDDEN_COPIES: Final = 4
_MLP_COPIES: Final = 3
_LOGIT_BYTES: Final = 3 * 4
_GRAPHS_BYTES: Final = GIB * 3 // 10
_GRAPHS_PER_LAYER_BYTES: Final = 12 * 1024**2
_CPU_PROGRAMS_BYTES: Final = GIB * 22 // 10
_LARGE_BYTES: Final = 70 * GIB
_LARGEST_BYTES: Final = 160 * GIB
_CPU_SEQUENCES: Final = 128
_CPU_TOKENS: Final = 2048


@dataclass(frozen=True)
class Step:
    """
    How much the engine does at once.

    Args:
        tokens: Tokens that one step computes at most.
        sequences: Sequences that run at once at most.
    """

    tokens: int
    sequences: int


def plan_step(arguments: ServeArguments, machine: Machine, context_tokens: int) -> Step:
    """
    Return how much the engine does at once.

    Source: vLLM 0.32, EngineArgs.get_batch_defaults, for the API server.

    Args:
        arguments: What was asked for.
        machine: On which vLLM's own choice depends.
        context_tokens: Longest sequence.
    """
    tokens, sequences = _defaults(arguments, machine)
    sequences = arguments.sequences or sequences
    # What vLLM chooses itself is no more than all sequences could hold.
    tokens = arguments.batched_tokens or min(tokens, sequences * context_tokens)
    return Step(tokens, arguments.sequences or min(sequences, tokens))


def reserve_bytes(
    architecture: Architecture,
    arguments: ServeArguments,
    machine: Machine,
    step: Step,
    value_bytes: int,
) -> int:
    """
    Return what one card needs beside weights and KV cache.

    Args:
        architecture: The model.
        arguments: What was asked for.
        machine: Where it runs.
        step: How much is done at once.
        value_bytes: Size of one number in the type that the model runs in.
    """
    per_token = (
        _HIDDEN_COPIES * architecture.hidden_size
        + _MLP_COPIES * architecture.mlp_width // arguments.cards
    )
    activations = step.tokens * per_token * value_bytes
    logits = step.sequences * architecture.vocabulary * _LOGIT_BYTES
    if machine.is_cpu:
        return activations + logits + _CPU_PROGRAMS_BYTES
    graphs = 0
    if not arguments.is_eager:
        graphs = _GRAPHS_BYTES + _GRAPHS_PER_LAYER_BYTES * architecture.hidden_layers
    return activations + logits + graphs


def _defaults(arguments: ServeArguments, machine: Machine) -> tuple[int, int]:
    if machine.is_cpu:
        processes = arguments.cards * arguments.stages
        return _CPU_TOKENS * processes, _CPU_SEQUENCES * processes
    total = machine.cards[0].total_bytes
    if total >= _LARGEST_BYTES:
        return 16384, 1024
    if total >= _LARGE_BYTES and "a100" not in machine.name.lower():
        return 8192, 1024
    return 2048, 256

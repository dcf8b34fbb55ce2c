"""
What makes a start of the engine faster: pure, values in and values out.

Each lever is an environment variable that whoever set it already keeps. Each was
measured on its own with bench/restart_time.py; one that costs throughput is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePath

AOT_COMPILE_ENV: Final = "VLLM_USE_AOT_COMPILE"
PRECOMPILED_HEADERS_ENV: Final = "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"
WORKER_PROCESS_ENV: Final = "VLLM_ENABLE_V1_MULTIPROCESSING"
THREADS_ENV: Final = "OMP_NUM_THREADS"
BYTECODE_FOLDER_ENV: Final = "PYTHONPYCACHEPREFIX"
# Up to here vLLM gives its only worker one thread, and keeps a core free.
ONE_THREAD_CORES: Final = 2
_THREAD_VARIABLES: Final = frozenset(
    {
        THREADS_ENV,
        "VLLM_CPU_OMP_THREADS_BIND",
        "VLLM_CPU_NUM_OF_RESERVED_CPU",
        "VLLM_CPU_SIM_MULTI_NUMA",
    }
)
_WORKER_OPTIONS: Final = frozenset(
    {
        *("--distributed-executor-backend", "--tensor-parallel-size", "-tp"),
        *("--pipeline-parallel-size", "-pp", "--data-parallel-size", "-dp"),
        *("--prefill-context-parallel-size", "-pcp"),
        *("--decode-context-parallel-size", "-dcp"),
    }
)


@dataclass(frozen=True)
class StartFacts:
    """
    What decides which levers a start gets.

    Args:
        is_cpu: Whether the engine computes on the CPU.
        cores: Physical cores that this process may use; None when that is not known.
        has_bytecode: Whether the engine's packages were installed with their bytecode.
        set_names: Names of the variables that the host's environment has.
    """

    is_cpu: bool
    cores: int | None
    has_bytecode: bool
    set_names: frozenset[str] = frozenset()


def start_variables(
    facts: StartFacts,
    serve_args: Iterable[str],
    set_names: Iterable[str],
    cache: PurePath,
) -> dict[str, str]:
    """
    Return the variables that make a start faster.

    Args:
        facts: About the machine and the installation.
        serve_args: The user's arguments of ``vllm serve``.
        set_names: Names of the variables that the user has set.
        cache: Folder of this engine version that outlives the container.
    Returns:
        By name; none that the user or the host has set is among them.
    """
    taken = facts.set_names.union(set_names)
    variables: dict[str, str] = {}
    if facts.is_cpu:
        # On the CPU vLLM 0.32 saves this cache with every start and can never load
        # it; torch's own cache, which is used without it, does load.
        variables[AOT_COMPILE_ENV] = "0"
        # torch compiles its headers into the temporary folder, wherever its cache is,
        # and does so before it looks into the cache: each new container again. On its
        # own, beside plain vLLM, no gain was seen (1.06 of the time, 0.83 to 1.25).
        variables[PRECOMPILED_HEADERS_ENV] = "0"
        if _is_one_thread(facts, serve_args, taken):
            # The worker lives in the core's process, which imports once for both.
            variables[WORKER_PROCESS_ENV] = "0"
            # As in a process of its own; else it takes all cores.
            variables[THREADS_ENV] = "1"
    if not facts.has_bytecode:
        # vLLM's images carry none: each new container compiles thousands of files.
        # Source: vLLM #55422.
        variables[BYTECODE_FOLDER_ENV] = str(cache / "bytecode")
    return {k: v for k, v in variables.items() if k not in taken}


def _is_one_thread(
    facts: StartFacts, serve_args: Iterable[str], taken: frozenset[str]
) -> bool:
    """
    Whether vLLM's one worker would compute with one thread in any case.

    With more threads the worker needs a process of its own: only there does vLLM bind
    them to cores (0.32, utils/ompmultiprocessing.py).
    """
    names = {item.partition("=")[0].replace("_", "-") for item in serve_args}
    return (
        facts.cores is not None
        and facts.cores <= ONE_THREAD_CORES
        and names.isdisjoint(_WORKER_OPTIONS)
        and taken.isdisjoint({*_THREAD_VARIABLES, WORKER_PROCESS_ENV})
    )

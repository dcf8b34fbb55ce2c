"""Which variables make a start faster, and where they stay away."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from vllm_pkg.engine.command import build_command
from vllm_pkg.engine.reserved import reserved_environment_problem
from vllm_pkg.engine.start_levers import StartFacts, start_variables
from vllm_pkg.settings import load_settings
from vllm_pkg.state.store import EnvironmentVariable, Store

CACHE = PurePosixPath("/data/cache/vllm-0.32.0")
TWO_CORES = StartFacts(is_cpu=True, cores=2, has_bytecode=True)
ARGUMENTS = ("org/model", "--max-model-len", "1k")
ONE_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}
CACHES = {
    "VLLM_USE_AOT_COMPILE": "0",
    "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS": "0",
}


def test_a_cpu_of_two_cores_gets_both_levers_of_the_cpu():
    """Only caches that load, and one process less; the one thread stays one."""
    variables = start_variables(TWO_CORES, ARGUMENTS, (), CACHE)

    assert variables == CACHES | ONE_PROCESS


def test_one_core_is_as_two():
    """VLLM gives its worker one thread there, too."""
    facts = StartFacts(is_cpu=True, cores=1, has_bytecode=True)

    assert start_variables(facts, ARGUMENTS, (), CACHE) == CACHES | ONE_PROCESS


@pytest.mark.parametrize("cores", [3, 64, None])
def test_with_more_cores_the_worker_keeps_its_process(cores):
    """Only in a process of its own are its threads bound to cores."""
    facts = StartFacts(is_cpu=True, cores=cores, has_bytecode=True)

    assert start_variables(facts, ARGUMENTS, (), CACHE) == CACHES


def test_a_gpu_with_its_bytecode_gets_nothing():
    """The levers of the CPU were not measured on a GPU, and stay away."""
    facts = StartFacts(is_cpu=False, cores=None, has_bytecode=True)

    assert start_variables(facts, ARGUMENTS, (), CACHE) == {}


def test_an_image_without_bytecode_keeps_it_on_the_main_volume():
    """What one container has compiled, the next one finds."""
    facts = StartFacts(is_cpu=False, cores=None, has_bytecode=False)

    assert start_variables(facts, ARGUMENTS, (), CACHE) == {
        "PYTHONPYCACHEPREFIX": "/data/cache/vllm-0.32.0/bytecode"
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("m", "--tensor-parallel-size", "2"),
        ("m", "--tensor_parallel_size=2"),
        ("m", "-tp", "2"),
        ("m", "--pipeline-parallel-size=2"),
        ("m", "-dp", "2"),
        ("m", "--distributed-executor-backend", "mp"),
    ],
)
def test_who_says_how_workers_run_keeps_them(arguments):
    """An argument about workers is not contradicted by a variable."""
    assert start_variables(TWO_CORES, arguments, (), CACHE) == CACHES


@pytest.mark.parametrize(
    "name", ["OMP_NUM_THREADS", "VLLM_CPU_OMP_THREADS_BIND", *ONE_PROCESS]
)
def test_who_decides_about_threads_keeps_them(name):
    """With a variable about threads set, by user or host, none is added."""
    by_host = StartFacts(
        is_cpu=True, cores=2, has_bytecode=True, set_names=frozenset({name})
    )

    assert start_variables(TWO_CORES, ARGUMENTS, (name,), CACHE) == CACHES
    assert start_variables(by_host, ARGUMENTS, (), CACHE) == CACHES


def test_what_is_set_is_never_overridden():
    """A variable that user or host has set is not among those that are added."""
    facts = StartFacts(
        is_cpu=True,
        cores=2,
        has_bytecode=False,
        set_names=frozenset({"PYTHONPYCACHEPREFIX"}),
    )

    variables = start_variables(facts, ARGUMENTS, tuple(CACHES), CACHE)

    assert variables == ONE_PROCESS


def _environment(*user: EnvironmentVariable, facts=TWO_CORES):
    command = build_command(
        load_settings({"HOME": "/h", "VLLM_PKG_MAIN": "/data"}),
        Store(serve_args=ARGUMENTS, serve_env=user),
        "Key0123456789ABCDEFGHI",
        engine_version="0.32.0",
        is_local_model=False,
        start_facts=facts,
    )
    return dict(command.env)


def test_the_command_has_the_levers():
    """The engine is started with them, and without them where nothing is known."""
    assert (CACHES | ONE_PROCESS).items() <= _environment().items()
    assert not set(CACHES | ONE_PROCESS) & set(_environment(facts=None))


def test_the_users_variable_goes_over_a_lever():
    """What Set Model was told about a start is what the engine gets."""
    environment = _environment(EnvironmentVariable("VLLM_USE_AOT_COMPILE", "1"))

    assert environment["VLLM_USE_AOT_COMPILE"] == "1"


def test_every_compiler_keeps_its_results_on_the_main_volume():
    """A new container finds what an earlier one has compiled with this version."""
    folder = "/data/cache/vllm-0.32.0"
    places = {name: value for name, value in _environment().items() if folder in value}

    assert places == {
        "VLLM_CACHE_ROOT": f"{folder}/vllm",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        "TORCH_EXTENSIONS_DIR": f"{folder}/torch-extensions",
        "TRITON_CACHE_DIR": f"{folder}/triton",
        "TILELANG_CACHE_DIR": f"{folder}/tilelang",
        "TVM_FFI_CACHE_DIR": f"{folder}/tvm-ffi",
        "CUTE_DSL_CACHE_DIR": f"{folder}/cute-dsl",
        "FLASHINFER_WORKSPACE_BASE": f"{folder}/flashinfer",
        "DG_JIT_CACHE_DIR": f"{folder}/deep-gemm",
        "CUDA_CACHE_PATH": f"{folder}/cuda",
        "MIOPEN_USER_DB_PATH": f"{folder}/miopen",
        "MIOPEN_CUSTOM_CACHE_DIR": f"{folder}/miopen",
        "NUMBA_CACHE_DIR": f"{folder}/numba",
    }
    assert all(reserved_environment_problem(name) for name in places)

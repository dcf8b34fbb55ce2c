"""
The engine's command line and environment: pure, values in and values out.

User arguments come first and the fixed ones after them, because vLLM takes the last of
two equal options.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine import guard
from vllm_pkg.engine.guard.cors import find_policy
from vllm_pkg.engine.inherited import is_kept_from_engine
from vllm_pkg.engine.processes import MARKER, instance_id
from vllm_pkg.engine.start_levers import start_variables
from vllm_pkg.settings_table import Profile, environment_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vllm_pkg.engine.start_levers import StartFacts
    from vllm_pkg.settings import Settings
    from vllm_pkg.state.store import Store

HIDDEN: Final = "***"
API_KEY_ENV: Final = "VLLM_API_KEY"
CPU_CACHE_ENV: Final = "VLLM_CPU_KVCACHE_SPACE"
CPU_CACHE_SHARE: Final = 0.25
_CACHE_SIZE_OPTIONS: Final = frozenset(
    {
        "--kv-cache-memory-bytes",
        "--gpu-memory-utilization",
        "--device-memory-utilization",
    }
)
PYTHON_PATH_ENV: Final = "PYTHONPATH"
# Where compilers keep their results; by default below the home or the temporary folder.
_CACHE_FOLDERS: Final = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch-extensions",
    "TRITON_CACHE_DIR": "triton",
    "TILELANG_CACHE_DIR": "tilelang",
    "TVM_FFI_CACHE_DIR": "tvm-ffi",
    "CUTE_DSL_CACHE_DIR": "cute-dsl",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "DG_JIT_CACHE_DIR": "deep-gemm",
    "CUDA_CACHE_PATH": "cuda",
    "MIOPEN_USER_DB_PATH": "miopen",
    "MIOPEN_CUSTOM_CACHE_DIR": "miopen",
    "NUMBA_CACHE_DIR": "numba",
}
# vLLM's hosting library executes the file of that name in that folder: none can be.
_HOSTED_CODE: Final = {
    "SAGEMAKER_MODEL_PATH": "/dev/null/none",
    "CUSTOM_SCRIPT_FILENAME": "none.py",
}
_SECRET_ENV_WORDS: Final = ("TOKEN", "KEY", "SECRET", "PASSWORD")


@dataclass(frozen=True)
class EngineCommand:
    """
    What to execute.

    Args:
        argv: Program and arguments.
        env: Variables to set in the environment of the engine.
        key: The API key, to hide it where it is shown.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    key: str

    def as_json(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the form that ``daemon --print`` prints."""
        if show_secrets:
            return {"mode": "serve", "argv": list(self.argv), "env": dict(self.env)}
        return {
            "mode": "serve",
            "argv": [self._hide(item) for item in self.argv],
            "env": {
                name: HIDDEN if _is_secret_name(name) else self._hide(value)
                for name, value in self.env
            },
        }

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the whole environment: the inherited one with ours over it."""
        base = {k: v for k, v in inherited.items() if not is_kept_from_engine(k)}
        whole = base | dict(self.env)
        ours, theirs = dict(self.env).get(PYTHON_PATH_ENV), base.get(PYTHON_PATH_ENV)
        if ours and theirs:
            # Ours first: the guard must be the one of this package.
            whole[PYTHON_PATH_ENV] = os.pathsep.join((ours, theirs))
        return whole

    def _hide(self, text: str) -> str:
        return text.replace(self.key, HIDDEN)


def build_command(
    settings: Settings,
    store: Store,
    key: str,
    *,
    engine_version: str,
    is_local_model: bool,
    cpu_memory_gib: float | None = None,
    has_own_python: bool = False,
    hub_variables: Mapping[str, str] = MappingProxyType({}),
    start_facts: StartFacts | None = None,
) -> EngineCommand:
    """
    Build the engine's command.

    Args:
        settings: Settings in force.
        store: With a model selected.
        key: The API key, not empty.
        engine_version: vLLM's version; compile caches are kept apart by it.
        is_local_model: Whether the model is a folder, so that no hub is needed.
        cpu_memory_gib: Memory of a machine without a usable GPU, in GiB; else None.
        has_own_python: Whether the engine runs in an environment that this package is
            not installed in, so that its Python has to be told where the guard is.
        hub_variables: What carries the stored Hugging Face token, if anything.
        start_facts: What decides how a start is made faster; None: by nothing.
    Returns:
        The command to execute.
    """
    argv = ["vllm", "serve", *store.serve_args, *_fixed_arguments(settings, key)]
    env = dict(hub_variables)
    if start_facts is not None:
        names = {item.name for item in store.serve_env}
        cache = _version_cache(settings, engine_version)
        env |= start_variables(start_facts, store.serve_args, names, cache)
    env |= {item.name: item.value for item in store.serve_env}
    if cpu_memory_gib is not None and not _says_cache_size(store):
        # By default vLLM takes 92 % of the memory for it, and does not start at all
        # when less is free (0.32, v1/worker/cpu_worker.py).
        size_gib = max(1, int(cpu_memory_gib * CPU_CACHE_SHARE))
        env[CPU_CACHE_ENV] = str(size_gib)
    env |= _fixed_environment(settings, engine_version)
    env |= _guard_environment(settings, store, key)
    if has_own_python:
        env[PYTHON_PATH_ENV] = str(settings.engine_path_dir)
    if is_local_model:
        env["HF_HUB_OFFLINE"] = "1"
    if settings.profile is not Profile.STARTOS:
        env[API_KEY_ENV] = key
    return EngineCommand(tuple(argv), tuple(env.items()), key)


def model_argument(serve_args: tuple[str, ...]) -> str:
    """
    Return the model that arguments of ``vllm serve`` name; empty when none.

    vLLM takes ``--model X`` and ``--model=X`` anywhere, else the first argument.
    """
    for position, argument in enumerate(serve_args):
        if argument == "--model":
            return next(iter(serve_args[position + 1 : position + 2]), "")
        if argument.startswith("--model="):
            return argument.removeprefix("--model=")
    first = next(iter(serve_args), "")
    return "" if first.startswith("-") else first


def served_name(serve_args: tuple[str, ...]) -> str:
    """Return the name under which clients ask for the model."""
    for position, argument in enumerate(serve_args):
        if argument == "--served-model-name":
            return next(iter(serve_args[position + 1 : position + 2]), "")
        if argument.startswith("--served-model-name="):
            return argument.removeprefix("--served-model-name=")
    return model_argument(serve_args)


def _says_cache_size(store: Store) -> bool:
    names = {
        argument.partition("=")[0].replace("_", "-") for argument in store.serve_args
    }
    return not names.isdisjoint(_CACHE_SIZE_OPTIONS) or any(
        item.name == CPU_CACHE_ENV for item in store.serve_env
    )


def _fixed_arguments(settings: Settings, key: str) -> list[str]:
    fixed = [
        *("--host", settings.host),
        *("--port", str(settings.port)),
        *("--download-dir", str(settings.models_dir)),
        *("--middleware", guard.GUARD),
    ]
    if settings.profile is Profile.STARTOS:
        # Elsewhere other users could read the key in the list of processes.
        fixed += ["--api-key", key]
    return fixed


def _fixed_environment(settings: Settings, engine_version: str) -> dict[str, str]:
    cache = _version_cache(settings, engine_version)
    return {
        "HF_HUB_CACHE": str(settings.models_dir),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_VERBOSITY": "info",
        # Compile caches survive a new container; each version has its own.
        **{name: str(cache / folder) for name, folder in _CACHE_FOLDERS.items()},
        "VLLM_CONFIG_ROOT": str(settings.cache_dir / "vllm-config"),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **_HOSTED_CODE,
        MARKER: instance_id(settings.main),
        # vLLM renames its processes, which overwrites /proc/PID/environ and with it
        # the marker; setproctitle's documented switch keeps the environment whole.
        "SPT_NOENV": "1",
    }


def _version_cache(settings: Settings, engine_version: str) -> Path:
    return settings.cache_dir / f"vllm-{engine_version}"


def _guard_environment(settings: Settings, store: Store, key: str) -> dict[str, str]:
    policy = find_policy(store.serve_args)
    return {
        # What it presents to vLLM after it has accepted a client's own key.
        guard.ENGINE_KEY_ENV: key,
        guard.CORS_ENV: policy.as_text() if policy else "",
        # Pinned: it must read the key files of this instance and no others.
        environment_name("profile"): str(settings.profile),
        environment_name("main"): str(settings.main),
        environment_name("public"): str(settings.public),
    }


def _is_secret_name(name: str) -> bool:
    return any(word in name.upper() for word in _SECRET_ENV_WORDS)

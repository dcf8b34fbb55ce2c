"""
What a user may not decide: reserved options, values and environment variables.

Pure. Three things are reserved: what the service sets itself, what would open the port
or another one past the guard, and what loads code by its name into the server, where no
guard holds. ``--trust-remote-code`` is not: models need it, and it names a repository.
Source: vLLM 0.32, ``entrypoints/launchers/cli_args.py``, ``config/*.py``, ``envs.py``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from vllm_pkg.engine.processes import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIXED = "the service sets it itself; leave it out"
_KEY = "the service has its own key; leave it out"
_HTTP = "the service needs its HTTP server; leave it out"
_TLS = "TLS ends outside the engine; leave it out"
_LOG = "logs are kept by the service; leave it out"
_GRPC = "gRPC would be open without a key; leave it out"
_PORTS = "it opens ports that have no key; leave it out"
_NODES = "the service runs the engine on one machine; leave it out"
_CODE = "it could load other code into the engine; leave it out"
_OPEN = "it would open what the key protects; leave it out"
_CACHE = "the cache has a fixed place; leave it out"
_HUB = "models come from the Hugging Face hub; leave it out"

# By the first name in the table of options; other spellings belong to it.
RESERVED_OPTIONS: Final = {
    "--host": _FIXED,
    "--port": _FIXED,
    "--download-dir": _FIXED,
    "--api-key": _KEY,
    "--uds": _HTTP,
    "--headless": _HTTP,
    "--api-server-count": _HTTP,
    "--tokens-only": "the service speaks OpenAI's protocol; leave it out",
    "--root-path": "it would open paths that need the key; leave it out",
    "--grpc": _GRPC,
    "--grpc-port": _GRPC,
    "--ssl-keyfile": _TLS,
    "--ssl-certfile": _TLS,
    "--ssl-ca-certs": _TLS,
    "--ssl-cert-reqs": _TLS,
    "--ssl-ciphers": _TLS,
    "--enable-ssl-refresh": _TLS,
    "--middleware": "the guard of the API is the only middleware; leave it out",
    "--config": "options must stand here themselves, so that they can be checked",
    "--logging-config": _LOG,
    "--log-config-file": _LOG,
    "--disable-log-stats": (
        "without the engine's counters nobody sees when it is stuck; leave it out"
    ),
    "--omni": "it starts another program; leave it out",
    "--help": "it shows a text and ends; leave it out",
    "--data-parallel-multi-port-external-lb": _PORTS,
    "--data-parallel-supervisor-port": _PORTS,
    "--dp-supervisor-probe-interval-s": _PORTS,
    "--dp-supervisor-probe-timeout-s": _PORTS,
    "--dp-supervisor-probe-failure-threshold": _PORTS,
    "--kv-transfer-config": (
        "it opens ports that have no key; for a cache in main memory use "
        "--kv-offloading-size"
    ),
    "--kv-events-config": _PORTS,
    "--ec-transfer-config": _PORTS,
    "--weight-transfer-config": "it lets others replace the weights; leave it out",
    "--data-parallel-external-lb": _NODES,
    "--data-parallel-hybrid-lb": _NODES,
    "--data-parallel-rank": _NODES,
    "--data-parallel-start-rank": _NODES,
    "--data-parallel-size-local": _NODES,
    "--data-parallel-address": _NODES,
    "--data-parallel-rpc-port": _NODES,
    "--nnodes": _NODES,
    "--node-rank": _NODES,
    "--master-addr": _NODES,
    "--master-port": _NODES,
    "--tool-parser-plugin": _CODE,
    "--reasoning-parser-plugin": _CODE,
    "--io-processor-plugin": _CODE,
    "--logits-processors": _CODE,
    "--worker-cls": _CODE,
    "--worker-extension-cls": _CODE,
    "--scheduler-cls": _CODE,
    "--ec-manager-config": _CODE,
    "--model-class-overrides": _CODE,
}
# Of these options only some values are allowed: others name a class to load, or have
# the headers of each websocket's handshake logged, and in them the key.
ALLOWED_VALUES: Final = {
    "--distributed-executor-backend": ("mp", "ray", "uni"),
    "--uvicorn-log-level": ("critical", "error", "warning", "info"),
}
# Options that set one key of --speculative-config.
_KEYS_OF_OPTIONS: Final = {"--spec-method": "method", "--spec-model": "model"}
# Keys inside of JSON values, at any depth.
_CODE_KEYS: Final = frozenset(
    {"inductor_compile_config", "inductor_passes", "reasoning_parser_plugin"}
)

RESERVED_ENVIRONMENT: Final = {
    "HF_HUB_CACHE": _FIXED,
    "HF_HOME": _CACHE,
    "HUGGINGFACE_HUB_CACHE": _CACHE,
    "TRANSFORMERS_CACHE": _CACHE,
    "XDG_CACHE_HOME": _CACHE,
    "PYTHONUNBUFFERED": _FIXED,
    "HF_HUB_VERBOSITY": _FIXED,
    "VLLM_API_KEY": _KEY,
    "VLLM_CACHE_ROOT": _FIXED,
    "VLLM_CONFIG_ROOT": _FIXED,
    "TRITON_CACHE_DIR": _FIXED,
    "TORCHINDUCTOR_CACHE_DIR": _FIXED,
    "TORCH_EXTENSIONS_DIR": _FIXED,
    "TILELANG_CACHE_DIR": _FIXED,
    "TVM_FFI_CACHE_DIR": _FIXED,
    "CUTE_DSL_CACHE_DIR": _FIXED,
    "MIOPEN_USER_DB_PATH": _FIXED,
    "MIOPEN_CUSTOM_CACHE_DIR": _FIXED,
    "NUMBA_CACHE_DIR": _FIXED,
    "FLASHINFER_WORKSPACE_BASE": _FIXED,
    "CUDA_CACHE_PATH": _FIXED,
    "DG_JIT_CACHE_DIR": _FIXED,
    "VLLM_NO_USAGE_STATS": _FIXED,
    "DO_NOT_TRACK": _FIXED,
    "HF_HUB_DISABLE_TELEMETRY": _FIXED,
    "SPT_NOENV": _FIXED,
    "VLLM_SERVER_DEV_MODE": _OPEN,
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": _OPEN,
    "VLLM_ALLOW_INSECURE_SERIALIZATION": _OPEN,
    "VLLM_PLUGINS": _CODE,
    "VLLM_USE_RUST_FRONTEND": "the guard needs vLLM's own HTTP server; leave it out",
    "VLLM_RUST_FRONTEND_PATH": _CODE,
    "VLLM_NCCL_SO_PATH": _CODE,
    "VLLM_CUDART_SO_PATH": _CODE,
    "VLLM_CUDA_COMPATIBILITY_PATH": _CODE,
    "VLLM_LOGGING_CONFIG_PATH": _LOG,
    "VLLM_CONFIGURE_LOGGING": _LOG,
    "VLLM_LOGGING_STREAM": _LOG,
    "VLLM_LOGGING_PREFIX": _LOG,
    "VLLM_KEEP_ALIVE_ON_ENGINE_DEATH": (
        "the service must see that the engine ended; leave it out"
    ),
    "VLLM_MODEL_REDIRECT_PATH": "it would serve another model than the one shown",
    "VLLM_USE_MODELSCOPE": _HUB,
    "HF_ENDPOINT": _HUB,
    "PATH": _CODE,
    "HOME": _CODE,
    "CC": _CODE,
    "CXX": _CODE,
    MARKER: _FIXED,
}
# Of vLLM's hosting library, which executes the files and functions that they name
# (model_hosting_container_standards 0.1, sagemaker/ and common/fastapi/config.py).
HOSTING_PREFIXES: Final = ("SAGEMAKER_", "CUSTOM_")
# Families: the interpreter's, the linker's, and those of the hosting library.
_RESERVED_PREFIXES: Final = {
    "VLLM_PKG_": _FIXED,
    "PYTHON": _CODE,
    "LD_": _CODE,
    **dict.fromkeys(HOSTING_PREFIXES, _CODE),
}
_ENVIRONMENT_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_STRING: Final = re.compile(r'("(?:[^"\\]|\\.)*")')
_SIZE: Final = re.compile(r"\b\d+(?:\.\d+)?[kKmMgGtT]\b")


def reserved_environment_problem(name: str) -> str | None:
    """Return why an environment variable is refused, or None when it may be set."""
    if not _ENVIRONMENT_NAME.fullmatch(name):
        return "expected letters, digits and _, not beginning with a digit"
    reason = RESERVED_ENVIRONMENT.get(name)
    for prefix, text in _RESERVED_PREFIXES.items():
        if reason is None and name.startswith(prefix):
            reason = text
    return f"{name} is reserved: {reason}" if reason else None


def reserved_value_problem(option: str, value: str) -> str | None:
    """
    Return why a value of an option that is itself allowed is refused, or None.

    Args:
        option: The option's first name in the table.
        value: Its value, as text.
    """
    key = _KEYS_OF_OPTIONS.get(option)
    if key is None:
        return None
    return _pair_problem("--speculative-config", key, value)


def reserved_pair_problem(option: str, pairs: Iterable[tuple[str, Any]]) -> str | None:
    """
    Return why something inside a JSON value is refused, or None.

    Args:
        option: The first name in the table of the option that takes the value.
        pairs: Every key with its value, at every depth.
    """
    problems = (_pair_problem(option, key, value) for key, value in pairs)
    return next((text for text in problems if text), None)


def json_pairs(text: str) -> tuple[Any, list[tuple[str, Any]]]:
    """
    Read JSON as vLLM does, and list what stands in its objects.

    Args:
        text: JSON; vLLM takes numbers such as ``80g`` in it as well.
    Returns:
        The value, and every key of every object with its value, repeated keys too.
    Raises:
        ValueError: it is no JSON; the text says why.
    """
    pairs: list[tuple[str, Any]] = []

    def collect(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.extend(found)
        return dict(found)

    parts = _STRING.split(text)
    parts[::2] = [_SIZE.sub("0", part) for part in parts[::2]]
    try:
        return json.loads("".join(parts), object_pairs_hook=collect), pairs
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _pair_problem(option: str, key: str, value: Any) -> str | None:
    if key in _CODE_KEYS:
        return f"{key} is reserved: {_CODE}"
    if option == "--compilation-config" and key == "backend" and _is_import(value):
        return f"{key} names a module: {_CODE}"
    if option != "--speculative-config":
        return None
    if key == "method" and value == "custom_class":
        return f"custom_class is reserved: {_CODE}"
    if key == "model" and _is_import(value):
        return f"{key} names a module: {_CODE}"
    return None


def _is_import(value: Any) -> bool:
    """Whether vLLM would take a text for the name of something to import."""
    if not isinstance(value, str) or "." not in value:
        return False
    return all(part.isidentifier() for part in value.split("."))

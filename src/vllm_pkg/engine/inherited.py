"""
Which variables of the host's environment the engine does not get. Pure.

A list of what it gets would break what libraries and images of the engine need, which
is open-ended; so it is a list of what it must not get, and of what looks like a secret
of another program: models bring code along, and logs may hold an environment.
"""

from __future__ import annotations

from typing import Final

from vllm_pkg.engine.reserved import HOSTING_PREFIXES, RESERVED_ENVIRONMENT

_SECRET_WORDS: Final = frozenset(
    {
        *("TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "KEY"),
        *("KEYS", "APIKEY", "CREDENTIAL", "CREDENTIALS", "COOKIE", "AUTH"),
    }
)
# The engine's own families: in them the words mean something else, or the engine.
_ENGINE_PREFIXES: Final = (
    *("VLLM_", "HF_", "HUGGING_FACE_", "HUGGINGFACE_"),
    *("TORCH", "PYTORCH_", "TRITON_", "NCCL_", "CUDA_", "HIP_"),
)


def is_kept_from_engine(name: str) -> bool:
    """
    Whether an inherited variable is not handed on to the engine.

    Those of vLLM that are reserved, and all of its hosting library: in the environment
    of a host they would defeat the guard as well as in the store. PATH and its like are
    the host's to set. Also what looks like a secret of another program.
    """
    is_of_vllm = name in RESERVED_ENVIRONMENT and name.startswith("VLLM_")
    return is_of_vllm or name.startswith(HOSTING_PREFIXES) or _is_strange_secret(name)


def _is_strange_secret(name: str) -> bool:
    if name.startswith(_ENGINE_PREFIXES):
        return False
    return not _SECRET_WORDS.isdisjoint(name.upper().split("_"))

"""
Arguments of ``vllm serve`` that a person typed: splitting them, and what is reserved.

Pure. Arguments are split as a shell would, without expansion. What the package decides
itself is refused by name, in every spelling that vLLM's parser takes: abbreviations,
``_`` for ``-``, dotted names and ``=value``.
Source: vLLM 0.32, ``utils/argparse_utils.py``; argparse with ``allow_abbrev``.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Final

from vllm_pkg.engine.command import model_argument
from vllm_pkg.engine.processes import MARKER
from vllm_pkg.errors import FieldProblem, InvalidArgument

QUOTE_SHOWN: Final = 24
_FIXED = "the service sets it itself; leave it out"
_KEY = "the service has its own key; leave it out"
_HTTP = "the service needs its HTTP server; leave it out"
_TLS = "TLS ends outside the engine; leave it out"
_LOG = "logs are kept by the service; leave it out"
_NOT_HERE = "options must stand here themselves, so that they can be checked"

RESERVED_OPTIONS: Final = {
    "--host": _FIXED,
    "--port": _FIXED,
    "--download-dir": _FIXED,
    "--api-key": _KEY,
    "--uds": _HTTP,
    "--headless": _HTTP,
    "--api-server-count": _HTTP,
    "-asc": _HTTP,
    "--root-path": "it would open paths that need the key; leave it out",
    "--grpc": "gRPC would be open without a key; leave it out",
    "--grpc-port": "gRPC would be open without a key; leave it out",
    "--ssl-keyfile": _TLS,
    "--ssl-certfile": _TLS,
    "--ssl-ca-certs": _TLS,
    "--ssl-cert-reqs": _TLS,
    "--ssl-ciphers": _TLS,
    "--middleware": "the guard of the API is the only middleware; leave it out",
    "--config": _NOT_HERE,
    "--logging-config": _LOG,
    "--log-config-file": _LOG,
    "--omni": "it starts another program; leave it out",
    "--data-parallel-multi-port-external-lb": "it opens further ports; leave it out",
    "-dpm": "it opens further ports; leave it out",
    "--help": "it shows a text and ends; leave it out",
    "-h": "it shows a text and ends; leave it out",
}
# Options of vLLM 0.32 whose whole name is an abbreviation of a reserved one.
_EXACT_OPTIONS: Final = frozenset({"-dp"})

_OWNED = "the service sets it itself; leave it out"
_CODE = "it could load other code into the engine; leave it out"
_OPEN = "it would open what the key protects; leave it out"
RESERVED_ENVIRONMENT: Final = {
    "HF_HUB_CACHE": _OWNED,
    "HF_HOME": "the cache has a fixed place; leave it out",
    "HUGGINGFACE_HUB_CACHE": "the cache has a fixed place; leave it out",
    "TRANSFORMERS_CACHE": "the cache has a fixed place; leave it out",
    "PYTHONUNBUFFERED": _OWNED,
    "HF_HUB_VERBOSITY": _OWNED,
    "VLLM_API_KEY": "the service has its own key; leave it out",
    "VLLM_CACHE_ROOT": _OWNED,
    "VLLM_CONFIG_ROOT": _OWNED,
    "TRITON_CACHE_DIR": _OWNED,
    "FLASHINFER_WORKSPACE_BASE": _OWNED,
    "CUDA_CACHE_PATH": _OWNED,
    "DG_JIT_CACHE_DIR": _OWNED,
    "VLLM_NO_USAGE_STATS": _OWNED,
    "DO_NOT_TRACK": _OWNED,
    "HF_HUB_DISABLE_TELEMETRY": _OWNED,
    "VLLM_SERVER_DEV_MODE": _OPEN,
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": _OPEN,
    "VLLM_ALLOW_INSECURE_SERIALIZATION": _OPEN,
    "VLLM_PLUGINS": _CODE,
    "VLLM_USE_RUST_FRONTEND": "the guard needs vLLM's own HTTP server; leave it out",
    "VLLM_RUST_FRONTEND_PATH": _CODE,
    "VLLM_LOGGING_CONFIG_PATH": _LOG,
    "VLLM_CONFIGURE_LOGGING": _LOG,
    "VLLM_MODEL_REDIRECT_PATH": "it would serve another model than the one shown",
    "VLLM_USE_MODELSCOPE": "models come from the Hugging Face hub; leave it out",
    "HF_ENDPOINT": "models come from the Hugging Face hub; leave it out",
    "CUSTOM_FASTAPI_PING_HANDLER": _CODE,
    "CUSTOM_FASTAPI_INVOCATION_HANDLER": _CODE,
    "SAGEMAKER_MODEL_PATH": _CODE,
    "PATH": _CODE,
    "PYTHONPATH": _CODE,
    "PYTHONHOME": _CODE,
    "PYTHONSTARTUP": _CODE,
    "LD_PRELOAD": _CODE,
    "LD_LIBRARY_PATH": _CODE,
    "LD_AUDIT": _CODE,
    MARKER: _OWNED,
}
_RESERVED_PREFIX: Final = "VLLM_PKG_"
_ENVIRONMENT_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def split_arguments(
    text: str, path: tuple[str, ...] = ("config", "value", "args")
) -> tuple[str, ...]:
    """
    Split text into arguments as a shell would, without expansion or comments.

    Args:
        text: What was typed; line breaks separate like spaces.
        path: The field it was typed into, for the error.
    Returns:
        The arguments, at least one.
    Raises:
        InvalidArgument: there is none, a quote stays open, or a control character
            stands in it.
    """
    text = text.replace("\r\n", "\n")
    control = re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    if control:
        code = ord(control.group())
        raise _refused(path, f"control character 0x{code:02x} must not stand in it")
    typographic = re.search(r"(?:^|\s)[\u2010-\u2015\u2212]|\u00a0", text)
    if typographic:
        # Text that went through a word processor; vLLM would not see an option.
        code = ord(typographic.group()[-1])
        what = f"has the character U+{code:04X}, which only looks like - or a space"
        raise _refused(path, what)
    try:
        arguments = tuple(shlex.split(text))
    except ValueError:
        raise _refused(path, _open_quote(text)) from None
    if not arguments:
        raise _refused(path, "must not be empty; begin with the model, as org/name")
    return arguments


def refuse_reserved(
    arguments: tuple[str, ...], path: tuple[str, ...] = ("config", "value", "args")
) -> None:
    """
    Refuse arguments that the package decides itself.

    Args:
        arguments: What stands after ``vllm serve``.
        path: The field they were typed into, for the error.
    Raises:
        InvalidArgument: ``fields`` has one problem per reserved argument.
    """
    found = (reserved_option_problem(argument) for argument in arguments)
    problems = [problem for problem in found if problem]
    problems += _dangling(arguments)
    if problems:
        fields = tuple(FieldProblem(path, problem) for problem in problems)
        message = "; ".join(f"{'.'.join(path)}: {text}" for text in problems)
        raise InvalidArgument(message, hint="correct the arguments", fields=fields)


def reserved_option_problem(argument: str) -> str | None:
    """Return why an argument is refused, or None when it may be given."""
    if argument == "--":
        return "'--' is not possible here; leave it out"
    if not argument.startswith("-"):
        return None
    name = re.split(r"[=.\s]", argument, maxsplit=1)[0]
    if name.startswith("--"):
        name = name.replace("_", "-")
    if name in _EXACT_OPTIONS or name.strip("-") == "":
        return None
    if re.match("-h", argument):
        # Of a group of short options, argparse runs the first one: the help.
        name = "-h"
    meant = [option for option in RESERVED_OPTIONS if option.startswith(name)]
    if not meant:
        return None
    exact = name if name in meant else meant[0]
    # Without its value, which may be a secret.
    given = argument.partition("=")[0]
    shown = given if given == exact else f"{given} (which is {exact})"
    return f"{shown} is reserved: {RESERVED_OPTIONS[exact]}"


def reserved_environment_problem(name: str) -> str | None:
    """Return why an environment variable is refused, or None when it may be set."""
    if not _ENVIRONMENT_NAME.fullmatch(name):
        return "expected letters, digits and _, not beginning with a digit"
    if name.startswith(_RESERVED_PREFIX):
        return f"{name} is reserved: {_OWNED}"
    reason = RESERVED_ENVIRONMENT.get(name)
    return f"{name} is reserved: {reason}" if reason else None


def models_named(serve_args: tuple[str, ...]) -> tuple[str, ...]:
    """
    Return every model that arguments of ``vllm serve`` use, without repetition.

    The first is the served one; a draft model, a tokenizer or a second source of its
    configuration may follow. Adapters of ``--lora-modules`` are not counted.
    """
    named = [model_argument(serve_args)]
    for option in ("--tokenizer", "--hf-config-path"):
        named += _values_of(serve_args, option)
    for option in ("--speculative-config", "-sc"):
        named += [_model_of_json(value) for value in _values_of(serve_args, option)]
    named += _values_of(serve_args, "--speculative-config.model")
    named += _values_of(serve_args, "-sc.model")
    return tuple(dict.fromkeys(name for name in named if name))


def _values_of(serve_args: tuple[str, ...], option: str) -> list[str]:
    values = []
    for position, argument in enumerate(serve_args):
        name, has_value, value = argument.partition("=")
        if name.startswith("--"):
            name = name.replace("_", "-")
        if name != option:
            continue
        values += (
            [value] if has_value else list(serve_args[position + 1 : position + 2])
        )
    return values


def _model_of_json(text: str) -> str:
    try:
        document = json.loads(text)
    except ValueError:
        return ""
    model = document.get("model") if isinstance(document, dict) else None
    return model if isinstance(model, str) else ""


def _dangling(arguments: tuple[str, ...]) -> list[str]:
    """Find a last argument that would swallow the fixed ones after it."""
    last = arguments[-1] if arguments else ""
    is_dotted = last.startswith("-") and "." in last
    if "=" not in last and (last == "--model" or is_dotted):
        return [f"vLLM takes {last} for an option without its value; add =value"]
    return []


def _open_quote(text: str) -> str:
    """Say what is not closed: a quote, or an escape at the end."""
    opened: int | None = None
    is_escaped = False
    for position, character in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif character == "\\" and (opened is None or text[opened] == '"'):
            is_escaped = True
        elif opened is None and character in "'\"":
            opened = position
        elif opened is not None and character == text[opened]:
            opened = None
    if opened is None:
        return "ends with a backslash that escapes nothing; remove it"
    line = text.count("\n", 0, opened) + 1
    column = opened - text.rfind("\n", 0, opened)
    rest = text[opened : opened + QUOTE_SHOWN].splitlines()[0]
    return f"the quote at line {line}, column {column} is never closed: {rest}"


def _refused(path: tuple[str, ...], problem: str) -> InvalidArgument:
    message = f"{'.'.join(path)}: {problem}"
    fields = (FieldProblem(path, problem),)
    return InvalidArgument(message, hint="correct the arguments", fields=fields)

"""
What the installed vLLM says about command lines: its parser, and its registries.

As a program it reads a JSON list of argument lists from stdin and prints one JSON
document. It takes some ten seconds, because importing vLLM does, so tests run it once.
As a module it imports nothing of vLLM: it holds the start of that program, and the
checker, which compares what was parsed with what is registered.
"""

# vLLM is imported in the program only
from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, get_args

TIMEOUT_S = 300
# Destination in vLLM's namespace, and the registry that must hold its value.
REGISTERED = {
    "tool_call_parser": "tool parser",
    "reasoning_parser": "reasoning parser",
    "quantization": "quantization method",
    "load_format": "load format",
    "tokenizer_mode": "tokenizer mode",
    "speculative_method": "speculative method",
}


@dataclass(frozen=True)
class Introspection:
    """
    What one run of the installed vLLM said.

    Args:
        version: Version of vLLM.
        registries: Known names by kind, such as ``tool parser``.
        parsed: Per argument list: ``error``, or ``values`` by destination.
    """

    version: str
    registries: dict[str, list[str]]
    parsed: list[dict[str, Any]]

    def problems(self, index: int) -> list[str]:
        """Return what is wrong with one of the argument lists, one line each."""
        entry = self.parsed[index]
        if entry["error"] is not None:
            return [entry["error"]]
        return [
            f"{kind} {entry['values'][name]!r} is not registered"
            for name, kind in REGISTERED.items()
            if entry["values"][name] is not None
            and entry["values"][name] not in self.registries[kind]
        ]


def introspect(commands: list[list[str]]) -> Introspection:
    """
    Ask the installed vLLM in a process of its own.

    Args:
        commands: Arguments after ``vllm serve``, one list per question.
    """
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"},
    )
    if done.returncode != 0:
        message = f"the introspection of vLLM failed:\n{done.stderr}"
        raise RuntimeError(message)
    # The answer is the last line: libraries print above it.
    return Introspection(**json.loads(done.stdout.splitlines()[-1]))


def _registries() -> dict[str, list[str]]:
    from vllm.config.model import TokenizerMode
    from vllm.config.speculative import SpeculativeMethod
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
    from vllm.model_executor.model_loader import _LOAD_FORMAT_TO_MODEL_LOADER
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    return {
        "tool parser": ToolParserManager.list_registered(),
        # The option's own default is no parser, written as an empty name.
        "reasoning parser": ["", *ReasoningParserManager.list_registered()],
        "quantization method": list(QUANTIZATION_METHODS),
        "load format": list(_LOAD_FORMAT_TO_MODEL_LOADER),
        "tokenizer mode": list(get_args(TokenizerMode)),
        "speculative method": list(get_args(SpeculativeMethod)),
    }


def _parse(parser: Any, arguments: list[str]) -> dict[str, Any]:
    from vllm.entrypoints.launchers.cli_args import validate_parsed_serve_args
    from vllm.exceptions import VLLMValidationError

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = parser.parse_args(["serve", *arguments])
        validate_parsed_serve_args(parsed)
    except (SystemExit, ValueError, TypeError, VLLMValidationError) as error:
        lines = said.getvalue().strip().splitlines()
        return {"error": lines[-1] if lines else str(error), "values": {}}
    speculative = parsed.speculative_config or {}
    return {
        "error": None,
        "values": {
            "model": parsed.model_tag,
            "max_model_len": parsed.max_model_len,
            "tensor_parallel_size": parsed.tensor_parallel_size,
            "kv_cache_memory_bytes": parsed.kv_cache_memory_bytes,
            "tool_call_parser": parsed.tool_call_parser,
            "reasoning_parser": parsed.reasoning_parser,
            "quantization": parsed.quantization,
            "load_format": parsed.load_format,
            "tokenizer_mode": parsed.tokenizer_mode,
            "speculative_method": speculative.get("method"),
        },
    }


def _main() -> None:
    import vllm
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser(prog="vllm")
    subparsers = parser.add_subparsers(required=True, dest="subparser")
    ServeSubcommand().subparser_init(subparsers)
    answer = {
        "version": vllm.__version__,
        "registries": _registries(),
        "parsed": [_parse(parser, arguments) for arguments in json.load(sys.stdin)],
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    _main()

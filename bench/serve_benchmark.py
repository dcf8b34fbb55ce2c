# ruff: noqa: INP001  # a script's helper, in no package
"""
``vllm bench serve`` many times in one process, which imports vLLM only once.

Source: vLLM 0.32, benchmarks/serve.py: the subcommand calls the same `main_async`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # dataclass
from typing import Any, Final

OUTPUT_TOKENS: Final = 1
INPUT_TOKENS: Final = 16
CONCURRENCY: Final = 8


@dataclass(frozen=True)
class ServeBenchmark:
    """
    The benchmark with everything but the port.

    Args:
        tokenizer: Folder of the model, for its tokenizer.
        key: The API key.
    """

    tokenizer: Path
    key: str

    def run(self, port: int, count: int) -> tuple[float, list[str]]:
        """
        Run it once.

        Args:
            port: Of the API on the loopback address.
            count: How many requests.
        Returns:
            Requests that succeeded per second, as the benchmark tells them, and why
            each of the others did not.
        """
        # The folder is not this process's: the benchmark may write beside itself.
        with tempfile.TemporaryDirectory() as folder:
            arguments = self._arguments(port, count, folder)
            result = self._run(arguments)
        errors = [error for error in result["errors"] if error]
        if result["completed"] + len(errors) != count:
            raise RuntimeError(f"{result['completed']} of {count}, and {errors}")
        return float(result["request_throughput"]), errors

    def _run(self, arguments: argparse.Namespace) -> dict[str, Any]:
        from vllm.benchmarks.serve import main_async  # noqa: PLC0415  # seconds

        os.environ["OPENAI_API_KEY"] = self.key
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            result: dict[str, Any] = asyncio.run(main_async(arguments))
        return result

    def _arguments(self, port: int, count: int, folder: str) -> argparse.Namespace:
        from vllm.benchmarks.serve import add_cli_args  # noqa: PLC0415  # seconds

        parser = argparse.ArgumentParser()
        add_cli_args(parser)
        return parser.parse_args(
            [
                *("--backend", "openai", "--endpoint", "/v1/completions"),
                *("--host", "127.0.0.1", "--port", str(port)),
                *("--model", "tiny", "--tokenizer", str(self.tokenizer)),
                *("--dataset-name", "random", "--num-prompts", str(count)),
                *("--random-input-len", str(INPUT_TOKENS)),
                *("--random-output-len", str(OUTPUT_TOKENS)),
                *("--max-concurrency", str(CONCURRENCY), "--temperature", "0"),
                *("--ready-check-timeout-sec", "0", "--disable-tqdm"),
                *("--result-dir", folder),
                # Without it the errors are left out of the result.
                "--save-detailed",
            ]
        )

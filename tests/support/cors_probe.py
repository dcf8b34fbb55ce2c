"""
The installed vLLM's application, asked as pages of other websites ask.

As a program it reads a JSON list of cases from stdin, builds vLLM's application for
each, sends it requests and prints one JSON document. No engine is started. It takes
some ten seconds, because importing vLLM does, so tests run it once.
"""

# vLLM is imported in the program only
from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

TIMEOUT_S = 300


@dataclass(frozen=True)
class Case:
    """
    One application.

    Args:
        arguments: Of ``vllm serve``.
        environment: Variables for it.
        requests: Method, path and headers of each.
    """

    arguments: list[str]
    environment: dict[str, str]
    requests: list[tuple[str, str, dict[str, str]]]


@dataclass(frozen=True)
class Seen:
    """
    One answer.

    Args:
        status: HTTP status.
        headers: Names in lower case.
    """

    status: int
    headers: dict[str, str]

    def cors(self) -> dict[str, str]:
        """Return the headers that a browser decides by."""
        return {
            name: value
            for name, value in self.headers.items()
            if name == "vary" or name.startswith("access-control-")
        }


def ask_vllm(cases: list[Case]) -> list[list[Seen]]:
    """Ask the installed vLLM in a process of its own; return the answers by case."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([asdict(case) for case in cases]),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"},
    )
    if done.returncode != 0:
        raise RuntimeError(f"vLLM's application could not be asked:\n{done.stderr}")
    # The answer is the last line: libraries print above it.
    answers = json.loads(done.stdout.splitlines()[-1])
    return [[Seen(**answer) for answer in row] for row in answers]


async def _ask(app: Any, method: str, path: str, headers: dict[str, str]) -> Any:
    sent: list[dict[str, Any]] = []
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": pairs,
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return {"status": sent[0]["status"], "headers": answered}


def _main() -> None:
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.launchers.app import build_app
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser(prog="vllm")
    subparsers = parser.add_subparsers(required=True, dest="subparser")
    ServeSubcommand().subparser_init(subparsers)
    answers = []
    for case in json.load(sys.stdin):
        # The guard reads them when the first request comes.
        os.environ.update(case["environment"])
        arguments = parser.parse_args(["serve", *case["arguments"]])
        app = build_app(arguments, ("generate",), None)
        answers.append([asyncio.run(_ask(app, *one)) for one in case["requests"]])
    sys.stdout.write("\n" + json.dumps(answers) + "\n")


if __name__ == "__main__":
    _main()

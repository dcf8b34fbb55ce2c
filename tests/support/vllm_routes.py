"""
The routes of the installed vLLM with every switch on, without starting an engine.

As a program it builds vLLM's application for all tasks, in development mode, with LoRA
updates, scale-out and fault tolerance, and prints its routes as one JSON document. It
takes some ten seconds, because importing vLLM does.
"""

# vLLM is imported in the program only
from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TIMEOUT_S = 300
SWITCHES = {
    "VLLM_SERVER_DEV_MODE": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_ENABLE_COHERE_API": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
ARGUMENTS = (
    *("tiny", "--enable-scale-out", "--enable-tokenizer-info-endpoint"),
    *("--enable-fault-tolerance", "--enable-request-id-headers"),
    *("--profiler-config", '{"profiler": "torch", "torch_profiler_dir": "/tmp"}'),
)


@dataclass(frozen=True)
class Application:
    """
    What one run of the program found.

    Args:
        routes: Method (``WEBSOCKET`` for one) and path of every route, sorted.
        middleware: Names of the classes around the router, the outermost first.
    """

    routes: list[tuple[str, str]]
    middleware: list[str]


def flatten(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """
    Yield method and path of every route.

    A mount has no methods: it yields ``MOUNT`` and the regex that it matches.
    """
    for route in routes:
        if type(route).__name__ == "Mount":
            yield "MOUNT", route.path_regex.pattern
        elif getattr(route, "methods", None):
            for method in route.methods:
                yield method, route.path
        elif "WebSocket" in type(route).__name__:
            yield "WEBSOCKET", route.path
        else:
            # A kind of route that nobody has thought of is one to classify.
            yield "UNKNOWN", repr(route)


def list_all_routes(middleware: str) -> Application:
    """
    Ask the installed vLLM in a process of its own.

    Args:
        middleware: Dotted name of a class to add as ``--middleware``.
    """
    done = subprocess.run(
        [sys.executable, __file__, middleware],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, **SWITCHES},
    )
    if done.returncode != 0:
        raise RuntimeError(f"vLLM's application could not be built:\n{done.stderr}")
    # The answer is the last line: libraries print above it.
    answer = json.loads(done.stdout.splitlines()[-1])
    routes = [(method, path) for method, path in answer["routes"]]
    return Application(routes, answer["middleware"])


def _main() -> None:
    from types import SimpleNamespace
    from typing import get_args

    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.launchers.app import build_app
    from vllm.tasks import SupportedTask
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser(prog="vllm")
    subparsers = parser.add_subparsers(required=True, dest="subparser")
    ServeSubcommand().subparser_init(subparsers)
    arguments = ["serve", *ARGUMENTS, "--middleware", sys.argv[1]]
    tasks = tuple(
        task for kind in get_args(SupportedTask) for task in get_args(kind) or (kind,)
    )
    # All that the pooling routers ask a model: what it does, and how many labels.
    model = SimpleNamespace(
        get_pooling_task=lambda _tasks: "embed",
        hf_config=SimpleNamespace(num_labels=1),
    )
    app = build_app(parser.parse_args(arguments), tasks, model)
    answer = {
        "routes": sorted(set(flatten(app.routes))),
        "middleware": [item.cls.__name__ for item in app.user_middleware],
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    _main()

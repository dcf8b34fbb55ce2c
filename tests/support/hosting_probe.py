"""
What vLLM's hosting library loads into a small application, in a process of its own.

As a program it runs the library's bootstrap, as vLLM does at the end of building its
application, and prints one JSON document: which of the files it was told of were
executed, and where it would look for one that it was not told of.
"""

# the library is imported in the program only
from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 60
# What a file does that must not be executed.
HOSTILE = """\
import builtins
builtins.loaded_beside_the_guard = True
def handle(request):
    return request
"""


@dataclass(frozen=True)
class Loaded:
    """
    What one run of the program found.

    Args:
        is_loaded: Whether a hostile file was executed.
        searched: The file that is executed when it is there.
        names: Every environment variable that the library knows.
    """

    is_loaded: bool
    searched: str
    names: list[str]


def bootstrap(environment: Mapping[str, str]) -> Loaded:
    """
    Run the installed library's bootstrap.

    Args:
        environment: The whole environment of the process.
    """
    done = subprocess.run(
        [sys.executable, __file__],
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
        env=dict(environment),
    )
    return Loaded(**json.loads(done.stdout.splitlines()[-1]))


def _main() -> None:
    import builtins

    from fastapi import FastAPI
    from model_hosting_container_standards.common.fastapi.config import FastAPIEnvVars
    from model_hosting_container_standards.sagemaker import bootstrap as real
    from model_hosting_container_standards.sagemaker.config import SageMakerEnvVars
    from model_hosting_container_standards.sagemaker.sagemaker_loader import (
        SageMakerFunctionLoader,
    )

    real(FastAPI())
    known = {**vars(FastAPIEnvVars), **vars(SageMakerEnvVars)}
    answer = {
        "is_loaded": hasattr(builtins, "loaded_beside_the_guard"),
        "searched": SageMakerFunctionLoader.get_function_loader().module_aliases[
            "model"
        ],
        "names": sorted(name for name in known if name.isupper()),
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    _main()

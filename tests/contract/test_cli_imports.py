"""What the fast commands import: nothing of the engine, nothing that takes time."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.command_line import variables

HEAVY = {
    "vllm",
    "torch",
    "transformers",
    "fastapi",
    "nicegui",
    "pydantic",
    "yaml",
    "huggingface_hub",
    "supervisor",
    "psutil",
    "rich",
}
ENGINE = {"vllm", "torch", "transformers", "fastapi", "nicegui"}
# Prints the exit code and the modules after one command line, as the last line.
PROGRAM = """\
import json, sys
from vllm_pkg.cli.main import main
code = main(json.loads(sys.argv[1]))
print()
print(json.dumps([code, sorted(sys.modules)]))
"""


def imported(folder, *command):
    """Return the exit code and the top-level packages that a command imported."""
    # What measures the coverage of the tests would be among them.
    plain = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(command)],
        env=plain | variables(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("--help",), 0),
        (("--version",), 0),
        (("health",), 59),
        (("health", "--check", "primary", "--json"), 59),
        (("key", "--help"), 0),
    ],
)
def test_fast_commands_import_nothing_heavy(tmp_path, command, code):
    """Monitoring runs health each second: it loads none of the slow packages."""
    ended, packages = imported(tmp_path, *command)

    assert ended == code
    assert "typer" in packages
    assert packages & HEAVY == set()


@pytest.mark.parametrize("command", [("--help",), ("key", "--help")])
def test_help_does_without_the_state(tmp_path, command):
    """Help loads no library of the state files, such as random numbers for keys."""
    ended, packages = imported(tmp_path, *command)

    assert ended == 0
    assert packages & {"secrets", "random", "hashlib"} == set()


@pytest.mark.parametrize(
    "command", [("status",), ("preset", "list"), ("daemon", "--print")]
)
def test_the_other_commands_do_not_import_the_engine(tmp_path, command):
    """Whatever is asked, vLLM and PyTorch are started, never imported."""
    ended, packages = imported(tmp_path, *command)

    assert ended == 0
    assert packages & ENGINE == set()


def test_an_import_is_seen(tmp_path):
    """What looks for imports finds pydantic and YAML where they are needed."""
    _, packages = imported(tmp_path, "preset", "list")

    assert {"pydantic", "yaml"} <= packages

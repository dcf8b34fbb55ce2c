"""Completion in a shell, by the protocol that Typer's script for bash speaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from support.command_line import run_program, variables
from support.tools import require


def complete(environment, line):
    """Return what bash is offered for the last word of a command line."""
    words = line.split(" ")
    protocol = {
        "_VLLM_PKG_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    ended = run_program(environment | protocol)
    assert ended.err == ""
    return ended.out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vllm-pkg he", ["health"]),
        ("vllm-pkg key s", ["show"]),
        ("vllm-pkg run --mo", ["--model"]),
        ("vllm-pkg run --model qwen36", ["qwen36-35b-a3b", "qwen36-27b"]),
        ("vllm-pkg action run s", ["set-model"]),
        ("vllm-pkg init --kind r", ["restore"]),
        ("vllm-pkg nonsense x", []),
    ],
)
def test_completion_of_a_word(tmp_path, line, offered):
    """Tab offers commands, options, presets and actions."""
    assert complete(variables(tmp_path), line) == offered


def test_bash_completes_with_the_shown_script(tmp_path):
    """The script of ``--show-completion`` makes a real bash complete `vllm-pkg he`."""
    bash = shutil.which("bash")
    require(bash, "bash is not installed")
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "vllm-pkg"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vllm_pkg "$@"\n')
    program.chmod(0o755)
    script = """
      eval "$(vllm-pkg --show-completion)"
      COMP_WORDS=(vllm-pkg he); COMP_CWORD=1
      _vllm_pkg_completion vllm-pkg
      echo "${COMPREPLY[*]}"
    """
    more = {
        "SHELL": str(bash),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }

    done = subprocess.run(
        [str(bash), "--norc", "-c", script],
        env=os.environ | variables(tmp_path) | more,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("health\n", "")

"""A command line over folders of the test, on a recorded machine without a GPU."""

from __future__ import annotations

import os

import pytest

from support.command_line import CommandLine, variables
from support.service import free_port


@pytest.fixture(name="cli")
def cli_fixture(tmp_path, monkeypatch, capsys):
    """The program with an empty state, a free port and an engine's program on PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    engine = programs / "vllm"
    engine.write_text("#!/bin/sh\nexit 1\n")
    engine.chmod(0o755)
    folder = tmp_path / "state"
    folder.mkdir()
    for name, value in variables(folder, VLLM_PKG_PORT=str(free_port())).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return CommandLine(folder, capsys)

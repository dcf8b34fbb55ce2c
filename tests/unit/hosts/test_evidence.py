"""What is kept of a stuck engine, over real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import psutil
import pytest

from support.settings_factory import make_settings
from support.tools import require
from vllm_pkg.engine import processes
from vllm_pkg.engine.processes import MARKER, instance_id
from vllm_pkg.hosts.standalone import evidence
from vllm_pkg.hosts.standalone.evidence import keep_evidence
from vllm_pkg.state import records
from vllm_pkg.state.identity import ProcessIdentity

START = records.StartRecord(ProcessIdentity(1, 1, "b"), 1.0, "127.0.0.1", 1, "x")
WAITING = "import sys\ndef stand_still():\n    sys.stdin.read()\nstand_still()\n"


@pytest.fixture(name="settings")
def settings_fixture(tmp_path):
    """Settings over existing folders."""
    settings = make_settings(tmp_path)
    settings.logs_dir.mkdir(parents=True)
    return settings


@pytest.fixture(name="engine")
def engine_fixture(settings):
    """A real process with the marker of this instance, which stands still."""
    marked = os.environ | {MARKER: instance_id(settings.main)}
    argv = [sys.executable, "-c", WAITING]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=marked) as process:
        yield process
        process.communicate(b"")


def test_the_stack_shows_where_the_engine_stands(settings, engine):
    """Each process is described, and its stack is dumped by py-spy."""
    require(evidence._dump_program(), "py-spy is missing")
    folder = keep_evidence(settings, START)
    stack = (folder / f"stack-{engine.pid}.txt").read_text()

    assert (
        f"pid {engine.pid}, parent {os.getpid()}"
        in (folder / "processes.txt").read_text()
    )
    assert "stand_still" in stack


def test_log_and_memory_are_kept_for_the_owner_alone(settings):
    """The end of the log and the memory are there, with mode 0600."""
    (settings.logs_dir / "engine.log").write_text("first\nlast\n")
    folder = keep_evidence(settings, START)

    assert (folder / "engine.log").read_text() == "first\nlast\n"
    assert "MemTotal" in (folder / "memory.txt").read_text()
    assert (folder / "metrics.txt").read_text() == ""
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_only_the_last_five_are_kept(settings):
    """An engine that gets stuck each day does not fill the disk."""
    folders = [keep_evidence(settings, START) for _ in range(7)]

    assert sorted(settings.logs_dir.glob("stuck-*")) == folders[2:]


def test_without_py_spy_the_rest_is_kept(settings, engine, monkeypatch):
    """A missing tool is told in the file's place."""
    monkeypatch.setattr(evidence, "_dump_program", lambda: None)
    folder = keep_evidence(settings, START)

    assert (folder / f"stack-{engine.pid}.txt").read_text() == (
        "py-spy is not installed\n"
    )


def test_a_dump_that_hangs_is_given_up(settings, engine, monkeypatch, tmp_path):
    """A stack that cannot be had in time does not hold the restart up."""
    slow = tmp_path / "py-spy"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o700)
    monkeypatch.setattr(evidence, "_dump_program", lambda: str(slow))
    monkeypatch.setattr(evidence, "DUMP_TIMEOUT_S", 0.2)
    folder = keep_evidence(settings, START)

    assert "not available" in (folder / f"stack-{engine.pid}.txt").read_text()
    assert "did not end" in (folder / f"stack-{engine.pid}.txt").read_text()


def test_py_spy_is_looked_for_on_the_path_too(monkeypatch, tmp_path):
    """It need not be installed beside our own Python."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")

    assert evidence._dump_program() == "/somewhere/py-spy"


def test_a_process_that_ends_meanwhile_is_told(settings, monkeypatch):
    """A process that has ended since it was found is no error."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as child:
        gone = psutil.Process(child.pid)
        child.communicate(b"\n")
    monkeypatch.setattr(processes, "find_engine_processes", lambda _: [gone])
    folder = keep_evidence(settings, START)

    assert f"pid {gone.pid}: " in (folder / "processes.txt").read_text()
